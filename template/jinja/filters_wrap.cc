// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/call.h"
#include "template/jinja/characters.h"
#include "template/jinja/operators.h"
#include "template/jinja/splitting.h"

namespace retort::jinja {
namespace {

Value IndentFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'indent'", arguments, {"width", "first", "blank"});
  const bool as_text = bound.Has(0) && bound.Get(0)->IsText();
  const int64_t width = as_text ? 0 : bound.Int(0, 4);
  rt.Make(static_cast<uint64_t>(std::max<int64_t>(width, 0)));
  const Text indent =
      as_text ? bound.Get(0)->text()
              : Text(std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' '));
  const bool first = bound.Flag(1, false), blank = bound.Flag(2, false);
  const auto text = ToText(rt, value);
  Text all = *text;
  all.Append("\n");
  const std::vector<Text> lines = SplitLines(all, false);
  rt.Make(lines.size(), indent.size() + sizeof(Text));
  Text out = first ? indent : Text();
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.Append("\n");
    if (i > 0 && (blank || !lines[i].empty())) out.Append(indent);
    out.Append(lines[i]);
  }
  out.html = text->html;
  return rt.NewText(std::move(out));
}

Value TruncateFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'truncate'", arguments, {"length", "killwords", "end", "leeway"});
  const int64_t length = bound.Int(0, 255);
  const Text end = bound.TextOr(2, "...");
  const int64_t leeway = bound.Has(3) && bound.Get(3)->IsNone() ? 5 : bound.Int(3, 5);
  const int64_t end_size = CountCharacters(end.view());
  if (length < end_size || leeway < 0)
    throw rt.Fault("filter 'truncate': the length is less than that of its end");
  const auto text = ToText(rt, value);
  rt.Step(text->size() / 8);
  const int64_t size = CountCharacters(text->view());
  if (size - length <= leeway) return Value::Of(text);
  Text kept = text->Sub(0, ByteOfCharacter(text->view(), length - end_size));
  if (!bound.Flag(1, false)) kept = SplitAtFromRight(kept, " ", 1)[0];
  return rt.NewText(std::move(kept.Append(end)));
}

}  // namespace

const std::vector<FilterEntry>& WrapFilters() {
  static const std::vector<FilterEntry> filters = {{"indent", IndentFilter},
                                                   {"truncate", TruncateFilter}};
  return filters;
}

}  // namespace retort::jinja
