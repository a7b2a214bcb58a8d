// SPDX-License-Identifier: Apache-2.0
#include "base/ascii.h"
#include "template/jinja/characters.h"
#include "template/jinja/format.h"
#include "template/jinja/html.h"
#include "template/jinja/operators.h"

namespace retort::jinja {
namespace {

class PercentFormatter {
 public:
  PercentFormatter(Runtime& rt, const Text& text, const Value& values)
      : rt_(rt), text_(text), values_(values) {
    tuple_ = values.IsList() && values.list().sort() == List::Sort::kTuple;
  }

  Value Run() {
    const std::string_view view = text_.view();
    size_t from = 0;
    for (size_t at = view.find('%'); at != std::string_view::npos; at = view.find('%', from)) {
      out_.Append(text_, from, at);
      at_ = at + 1;
      Field(text_.OriginAt(at));
      from = at_;
    }
    out_.Append(text_, from, view.size());
    const bool all_used = !tuple_ ? used_ > 0 || named_ || values_.IsDict()
                                  : used_ == values_.list().items().size() || named_;
    if (!all_used) throw rt_.Fault("a format has fewer places than values");
    out_.html = text_.html;
    return rt_.NewText(std::move(out_));
  }

 private:
  char Peek() const {
    if (at_ >= text_.size()) throw rt_.Fault("a format ends within a place");
    return text_.view()[at_];
  }

  const Value& Next() {
    if (!tuple_ && used_ == 0) {
      ++used_;
      return values_;
    }
    if (!tuple_ || used_ >= values_.list().items().size())
      throw rt_.Fault("a format has more places than values");
    return values_.list().items()[used_++];
  }

  int64_t Number() {
    if (Peek() == '*') {
      ++at_;
      const auto n = Next().Integer();
      if (!n) throw rt_.Fault("a format's '*' needs an int");
      return *n;
    }
    int64_t number = 0;
    for (; IsDigit(Peek()); ++at_) {
      number = number * 10 + (Peek() - '0');
      if (number > INT32_MAX) throw rt_.Fault("a format's width is too large");
    }
    return number;
  }

  Value Named() {
    const size_t close = text_.view().find(')', at_);
    if (close == std::string_view::npos) throw rt_.Fault("a format's ( is not closed");
    if (!values_.IsDict()) throw rt_.Fault("a format with names needs a dict");
    const std::string name(text_.view().substr(at_ + 1, close - at_ - 1));
    at_ = close + 1;
    named_ = true;
    const Value* found = values_.dict().Find(name);
    if (!found) throw rt_.Fault("a format's name '", name, "' is not given");
    return *found;
  }

  void Field(Origin origin) {
    std::optional<Value> value;
    if (Peek() == '(') value = Named();
    FieldSpec spec;
    spec.align = '>';
    for (;; ++at_) {
      if (Peek() == '-')
        spec.align = '<';
      else if (Peek() == '+' || (Peek() == ' ' && spec.sign == '-'))
        spec.sign = Peek();
      else if (Peek() == '#')
        spec.alternate = true;
      else if (Peek() == '0')
        spec.fill = "0";
      else if (Peek() != ' ')
        break;
    }
    spec.width = Number();
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = spec.width > -INT32_MAX ? -spec.width : 0;
    }
    if (Peek() == '.') {
      ++at_;
      spec.precision = Number();
    }
    while (Peek() == 'h' || Peek() == 'l' || Peek() == 'L') ++at_;
    spec.type = Peek();
    ++at_;
    if (spec.type == '%') {
      out_.Append("%", origin);
      return;
    }
    Put(value ? *value : Next(), spec);
  }

  void Put(const Value& value, FieldSpec spec) {
    if (spec.type == 's' || spec.type == 'r' || spec.type == 'a' ||
        (spec.type == 'c' && value.IsText())) {
      spec.fill = " ";
      Text text = spec.type == 'r' || spec.type == 'a' ? Repr(rt_, value) : *ToText(rt_, value);
      if (text_.html && !text.html) text = Escaped(text);
      if (spec.precision >= 0) text = text.Sub(0, ByteOfCharacter(text.view(), spec.precision));
      out_.Append(Padded(rt_, std::move(text), spec));
      return;
    }
    if (std::string_view("diuoxXeEfFgGc").find(spec.type) == std::string_view::npos)
      throw rt_.Fault("a format has a place of an unknown type");
    if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
    if (spec.fill == "0" && spec.align == '>') spec.align = '=';
    if (spec.align == '<') spec.fill = " ";
    const bool whole = std::string_view("doxX").find(spec.type) != std::string_view::npos;
    if (whole && value.Is(Value::Kind::kFloat)) {
      const double v = value.float_value();
      if (!(v > -9e18 && v < 9e18)) throw rt_.Fault("a number is beyond 64 bits");
      out_.Append(SetNumber(rt_, Value::Of(static_cast<int64_t>(v)), spec));
    } else {
      out_.Append(SetNumber(rt_, value, spec));
    }
  }

  Runtime& rt_;
  const Text& text_;
  const Value& values_;
  bool tuple_ = false, named_ = false;
  size_t used_ = 0, at_ = 0;
  Text out_;
};

}  // namespace

Value FormatPercent(Runtime& rt, const Text& text, const Value& values) {
  rt.Step(text.size() / 8);
  return PercentFormatter(rt, text, values).Run();
}

}  // namespace retort::jinja
