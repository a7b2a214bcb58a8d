// SPDX-License-Identifier: Apache-2.0
// The methods of Python's str, list, tuple and dict.
#pragma once

#include "template/jinja/call.h"

namespace retort::jinja {

using Method = Value (*)(Runtime& rt, const Value& self, const Arguments& arguments);
// Null if values of this type have none of that name. One that would change a list or dict is
// known, and is a fault when it is called.
Method FindMethod(const Value& self, std::string_view name);
Method FindTextMethod(std::string_view name);

// value.name without a look at a dict's keys: a method, or an object's attribute; else undefined.
Value Attribute(Runtime& rt, const Value& value, const std::string& name);

}  // namespace retort::jinja
