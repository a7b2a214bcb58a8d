// SPDX-License-Identifier: Apache-2.0
// What a template can call, and the tables of what is known by name.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "template/jinja/runtime.h"

namespace retort::jinja {

// A macro, a method with its text, a global function.
class Callable : public Object {
 public:
  virtual Value Call(Runtime& rt, const Arguments& arguments) = 0;
};

// Throws if the value cannot be called.
Value Call(Runtime& rt, const Value& callee, const Arguments& arguments);

// `value | name(arguments)` and `value is name(arguments)`. Null if the name is not known.
using Filter = Value (*)(Runtime& rt, const Value& value, const Arguments& arguments);
using Test = bool (*)(Runtime& rt, const Value& value, const Arguments& arguments);
Filter FindFilter(std::string_view name);
Test FindTest(std::string_view name);
// All names, for errors.
std::vector<std::string> FilterNames();
std::vector<std::string> TestNames();

// The global functions: range, namespace, dict, cycler, joiner, raise_exception. Undefined if the
// name is not known.
Value FindGlobal(std::string_view name);
// strftime_now(format), which always tells the same moment: noon of `date`, "2024-07-26".
Value FixedClock(std::string_view date);

struct FilterEntry {
  std::string_view name;
  Filter filter;
};
// The filters by topic.
const std::vector<FilterEntry>& TextFilters();
const std::vector<FilterEntry>& WrapFilters();
const std::vector<FilterEntry>& ListFilters();
const std::vector<FilterEntry>& ChoiceFilters();
const std::vector<FilterEntry>& NumberFilters();
const std::vector<FilterEntry>& JsonFilters();

}  // namespace retort::jinja
