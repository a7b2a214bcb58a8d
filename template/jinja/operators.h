// SPDX-License-Identifier: Apache-2.0
// What Python's operators and str() make of values.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "template/jinja/runtime.h"

namespace retort::jinja {

bool Equal(Runtime& rt, const Value& a, const Value& b);
// Negative, zero or positive as a < b, a == b, a > b; nullopt if Python does not order them.
std::optional<int> Order(Runtime& rt, const Value& a, const Value& b);
// The same, or a fault that says so.
int MustOrder(Runtime& rt, const Value& a, const Value& b);
// `item in container`.
bool Contains(Runtime& rt, const Value& container, const Value& item);

Value Add(Runtime& rt, const Value& a, const Value& b);
Value Subtract(Runtime& rt, const Value& a, const Value& b);
Value Multiply(Runtime& rt, const Value& a, const Value& b);
Value Divide(Runtime& rt, const Value& a, const Value& b);
Value FloorDivide(Runtime& rt, const Value& a, const Value& b);
Value Modulo(Runtime& rt, const Value& a, const Value& b);
Value Power(Runtime& rt, const Value& a, const Value& b);
Value Negate(Runtime& rt, const Value& a);

// str(value), as it is printed. Of a text: itself.
std::shared_ptr<const Text> ToText(Runtime& rt, const Value& value);
// repr(value): texts in quotes, for what prints a list's items.
Text Repr(Runtime& rt, const Value& value);
// A text's repr: 'it' with escapes.
Text QuotedAsPython(const Text& text);

// The items that a loop over the value meets: a list's, a text's characters, a dict's keys, none of
// an undefined value. Throws for other values.
std::shared_ptr<const List> Iterate(Runtime& rt, const Value& value);
// len(value)
int64_t Length(Runtime& rt, const Value& value);

// value[key] and value.key, as Jinja finds them: undefined if there is none. `name` is what an
// error about the undefined value says; borrowed.
Value GetItem(Runtime& rt, const Value& value, const Value& key, const std::string* name = nullptr);
Value GetAttribute(Runtime& rt, const Value& value, const std::string& name);
// value[start:stop:step], each perhaps none.
Value Slice(Runtime& rt, const Value& value, const Value& start, const Value& stop,
            const Value& step);

}  // namespace retort::jinja
