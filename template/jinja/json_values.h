// SPDX-License-Identifier: Apache-2.0
// JSON as a template's values, and values as JSON.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "template/jinja/runtime.h"

namespace retort::jinja {

// All texts of it have this origin. `tracked`: its dicts note which keys are looked at. Throws
// Error{kInput}, beginning with `where`, on an integer beyond 64 bits.
Value FromJson(const Json& json, Origin origin, bool tracked, const std::string& where);

// As Python's json.dumps.
struct JsonStyle {
  bool ascii = false, sorted = false;
  std::optional<std::string> indent;  // none: on one line
  Text item = Text(", "), key = Text(": ");
};
Text ToJson(Runtime& rt, const Value& value, const JsonStyle& style);

}  // namespace retort::jinja
