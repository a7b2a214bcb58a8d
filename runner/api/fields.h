// SPDX-License-Identifier: Apache-2.0
// Typed members of a request's JSON objects. Errors are ApiErrors with status 400 that name the
// member; null counts as absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "runner/api/error.h"

namespace retort {

// "'NAME' EXPECTATION"
ApiError BadValue(const std::string& name, const std::string& expectation);

// The member, or null if there is none.
const Json& MemberOf(const Json& object, const std::string& name);

// The value as an integer; also of 5.0. Nullopt if it is none, or does not fit.
std::optional<int64_t> IntegerIn(const Json& value);

std::string TextField(const Json& object, const std::string& name);  // must be there
int64_t IntegerField(const Json& object, const std::string& name, int64_t fallback);
double NumberField(const Json& object, const std::string& name, double fallback);
bool FlagField(const Json& object, const std::string& name);  // false if absent

}  // namespace retort
