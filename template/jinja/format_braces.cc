// SPDX-License-Identifier: Apache-2.0
#include "base/ascii.h"
#include "base/strings.h"
#include "template/jinja/characters.h"
#include "template/jinja/format.h"
#include "template/jinja/html.h"
#include "template/jinja/operators.h"

namespace retort::jinja {
namespace {

class BraceFormatter {
 public:
  BraceFormatter(Runtime& rt, const Arguments& arguments) : rt_(rt), arguments_(arguments) {}

  // `depth`: a field's specification may have fields of its own.
  Text Run(const Text& text, int depth) {
    Text out;
    const std::string_view view = text.view();
    for (size_t at = 0; at < view.size();) {
      const size_t brace = std::min(view.find_first_of("{}", at), view.size());
      out.Append(text, at, brace);
      if (brace == view.size()) break;
      if (brace + 1 < view.size() && view[brace + 1] == view[brace]) {
        out.Append(text, brace, brace + 1);
        at = brace + 2;
        continue;
      }
      if (view[brace] == '}' || depth > 1)
        throw rt_.Fault("a format has a brace without its other");
      const size_t end = Closing(view, brace);
      out.Append(Field(text.Sub(brace + 1, end), depth));
      at = end + 1;
    }
    out.html = text.html;
    return out;
  }

 private:
  size_t Closing(std::string_view view, size_t open) const {
    int depth = 0;
    for (size_t i = open; i < view.size(); ++i) {
      depth += view[i] == '{' ? 1 : view[i] == '}' ? -1 : 0;
      if (depth == 0) return i;
    }
    throw rt_.Fault("a format has a brace without its other");
  }

  Value Argument(const std::string& name) {
    const bool number = !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
    if (name.empty() || number) {
      size_t i = next_;
      if (name.empty())
        ++next_;
      else
        i = name.size() > 6 ? arguments_.positional.size() : std::stoul(name);
      if (i >= arguments_.positional.size())
        throw rt_.Fault("a format has more places than values");
      return arguments_.positional[i];
    }
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) return value;
    }
    throw rt_.Fault("a format's name '", name, "' is not given");
  }

  // "name.attribute[key]"
  Value Lookup(std::string_view path) {
    const size_t first = std::min(path.find_first_of(".["), path.size());
    Value value = Argument(std::string(path.substr(0, first)));
    for (size_t at = first; at < path.size();) {
      const bool item = path[at] == '[';
      const size_t end =
          std::min(item ? path.find(']', at) : path.find_first_of(".[", at + 1), path.size());
      const std::string part(path.substr(at + 1, end - at - 1));
      if (item && !part.empty() && part.size() < 10 &&
          part.find_first_not_of("0123456789") == std::string::npos)
        value = GetItem(rt_, value, Value::Of(static_cast<int64_t>(std::stol(part))));
      else
        value = GetItem(rt_, value, Value::Of(part));  // an attribute is looked for alike
      if (value.IsUndefined()) throw rt_.Fault("a format's ", part, " is not given");
      at = item ? end + 1 : end;
    }
    return value;
  }

  Text Field(const Text& field, int depth) {
    const std::string_view view = field.view();
    const size_t name_end = std::min(view.find_first_of(":!"), view.size());
    Value value = Lookup(view.substr(0, name_end));
    size_t at = name_end;
    if (at < view.size() && view[at] == '!') {
      if (at + 1 >= view.size() || std::string_view("rsa").find(view[at + 1]) > 2)
        throw rt_.Fault("a format has an unknown conversion");
      value = Value::Of(view[at + 1] == 's' ? *ToText(rt_, value) : Repr(rt_, value));
      at += 2;
    }
    if (at < view.size() && view[at] != ':') throw rt_.Fault("a format's ':' is missing");
    if (at >= view.size()) return *ToText(rt_, value);
    return Set(value, Spec(Run(field.Sub(at + 1, view.size()), depth + 1).bytes()));
  }

  int64_t Number(std::string_view text, size_t& at) const {
    int64_t number = 0;
    for (; at < text.size() && IsDigit(text[at]); ++at) {
      number = number * 10 + (text[at] - '0');
      if (number > INT32_MAX) throw rt_.Fault("a format's width is too large");
    }
    return number;
  }

  FieldSpec Spec(std::string_view text) const {
    FieldSpec spec;
    size_t at = 0;
    const auto is_align = [&](size_t i) {
      return i < text.size() && std::string_view("<>^=").find(text[i]) != std::string_view::npos;
    };
    const size_t first = ByteOfCharacter(text, 1);
    if (!text.empty() && is_align(first)) {
      spec.fill = std::string(text.substr(0, first));
      spec.align = text[first];
      at = first + 1;
    } else if (is_align(0)) {
      spec.align = text[at++];
    }
    const auto take = [&](char c) {
      return at < text.size() && text[at] == c ? (++at, true) : false;
    };
    for (const char sign : {'+', '-', ' '}) {
      if (take(sign)) spec.sign = sign;
    }
    spec.alternate = take('#');
    if (take('0') && !spec.align) {
      spec.fill = "0";
      spec.align = '=';
    }
    spec.width = Number(text, at);
    spec.grouped = take(',');
    if (take('.')) spec.precision = Number(text, at);
    if (at < text.size()) spec.type = text[at++];
    if (at != text.size()) throw rt_.Fault("a format's '", text, "' is not known");
    return spec;
  }

  Text Set(const Value& value, FieldSpec spec) {
    if (value.IsNumber() && !(value.Is(Value::Kind::kBool) && spec.type == 0)) {
      if (spec.type == 'n') spec.type = 'd';
      if (spec.type != 0 && std::string_view("dxXobceEfFgG%").find(spec.type) > 12)
        throw rt_.Fault("a format has a place of an unknown type");
      return SetNumber(rt_, value, spec);
    }
    if (spec.type != 0 && spec.type != 's')
      throw rt_.Fault("a format needs a number, not ", value.TypeName());
    if (!value.IsText() && !value.IsNumber())
      throw rt_.Fault("a ", value.TypeName(), " takes no format");
    Text text = *ToText(rt_, value);
    if (spec.precision >= 0) text = text.Sub(0, ByteOfCharacter(text.view(), spec.precision));
    return Padded(rt_, std::move(text), spec);
  }

  Runtime& rt_;
  const Arguments& arguments_;
  size_t next_ = 0;
};

}  // namespace

Value FormatBraces(Runtime& rt, const Text& text, const Arguments& arguments) {
  rt.Step(text.size() / 8);
  return rt.NewText(BraceFormatter(rt, arguments).Run(text, 0));
}

}  // namespace retort::jinja
