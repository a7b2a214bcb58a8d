// SPDX-License-Identifier: Apache-2.0
// Python's two ways to put values into a text: "%s" % value and "{}".format(value).
#pragma once

#include "template/jinja/runtime.h"

namespace retort::jinja {

// `values`: a tuple of as many as the text has places, a dict for %(name)s, or one value.
Value FormatPercent(Runtime& rt, const Text& text, const Value& values);
Value FormatBraces(Runtime& rt, const Text& text, const Arguments& arguments);

// How a number or text is set: fill, alignment, sign, width and so on, of "{:>8.2f}" or "%8.2f".
struct FieldSpec {
  std::string fill = " ";
  char align = 0;  // '<', '>', '^', '='
  char sign = '-';
  bool alternate = false, grouped = false;
  int64_t width = 0, precision = -1;
  char type = 0;
};
// An int, bool or float, by the type: d, x, X, o, b, c, e, f, g, %, and their capitals.
Text SetNumber(Runtime& rt, const Value& value, const FieldSpec& spec);
// Filled up to the width.
Text Padded(Runtime& rt, Text text, const FieldSpec& spec);

}  // namespace retort::jinja
