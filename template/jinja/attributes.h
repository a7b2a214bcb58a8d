// SPDX-License-Identifier: Apache-2.0
// `attribute=` of filters: "name", 0, "function.name".
#pragma once

#include <vector>

#include "template/jinja/operators.h"

namespace retort::jinja {

class AttributePath {
 public:
  // No path: each item itself. `fallback` stands in for what is undefined, if not null.
  AttributePath(Runtime& rt, const Value* path, const Value* fallback = nullptr);
  Value Of(Runtime& rt, const Value& item) const;

 private:
  std::vector<Value> parts_;
  const Value* fallback_;
};

// A text in lower case; another value as it is.
Value IgnoringCase(Runtime& rt, const Value& value);

}  // namespace retort::jinja
