// SPDX-License-Identifier: Apache-2.0
#include "base/hex.h"
#include "base/strings.h"
#include "template/jinja/characters.h"
#include "template/jinja/operators.h"
#include "tokenizer/utf8.h"

namespace retort::jinja {
namespace {

// What repr writes for a character: itself or an escape.
std::string ShownCharacter(std::string_view text, const Utf8Char& c, size_t at, char quote) {
  if (!c.valid) return Cat("\\x", HexText(text.substr(at, 1)));
  if (c.code == '\n') return "\\n";
  if (c.code == '\r') return "\\r";
  if (c.code == '\t') return "\\t";
  if (c.code == '\\' || c.code == static_cast<char32_t>(quote))
    return Cat("\\", static_cast<char>(c.code));
  if (IsPrintable(c.code)) return std::string(text.substr(at, static_cast<size_t>(c.size)));
  if (c.code < 0x100) return Cat("\\x", HexText(c.code, 2));
  return c.code < 0x10000 ? Cat("\\u", HexText(c.code, 4)) : Cat("\\U", HexText(c.code, 8));
}

class Printer {
 public:
  explicit Printer(Runtime& rt) : rt_(rt) {}

  void Print(const Value& value) {
    rt_.Step();
    switch (value.kind()) {
      case Value::Kind::kText:
        rt_.Make(value.text().size());
        out_.Append(QuotedAsPython(value.text()));
        break;
      case Value::Kind::kUndefined:
        out_.Append("Undefined");
        break;
      case Value::Kind::kList:
        PrintList(value.list());
        break;
      case Value::Kind::kDict:
        PrintDict(value.dict());
        break;
      default:
        out_.Append(*ToText(rt_, value));
    }
  }

  Text Take() { return std::move(out_); }

 private:
  void PrintItems(const std::vector<Value>& items) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_.Append(", ");
      rt_.Make(2);
      Print(items[i]);
    }
  }

  void PrintList(const List& list) {
    const bool tuple = list.sort() == List::Sort::kTuple;
    if (list.sort() == List::Sort::kGenerator || list.sort() == List::Sort::kRange) {
      throw rt_.Fault("a generator is printed, which shows no items; use | list");
    }
    if (list.sort() == List::Sort::kView) out_.Append("dict_items(");
    out_.Append(tuple ? "(" : "[");
    PrintItems(list.items());
    if (tuple && list.items().size() == 1) out_.Append(",");
    out_.Append(tuple ? ")" : "]");
    if (list.sort() == List::Sort::kView) out_.Append(")");
  }

  void PrintDict(const Dict& dict) {
    out_.Append("{");
    bool first = true;
    for (const auto& [key, value] : dict.entries()) {
      if (!first) out_.Append(", ");
      first = false;
      Print(key);
      out_.Append(": ");
      Print(value);
    }
    out_.Append("}");
  }

  Runtime& rt_;
  Text out_;
};

}  // namespace

Text QuotedAsPython(const Text& text) {
  const std::string_view view = text.view();
  const bool single = view.find('\'') != std::string_view::npos;
  const char quote = single && view.find('"') == std::string_view::npos ? '"' : '\'';
  const std::string mark(1, quote);
  Text out(text.html ? "Markup(" + mark : mark);
  for (size_t at = 0; at < view.size();) {
    const Utf8Char c = DecodeUtf8(view, at);
    out.Append(ShownCharacter(view, c, at, quote), text.OriginAt(at));
    at += c.valid ? static_cast<size_t>(c.size) : 1;
  }
  return out.Append(text.html ? mark + ")" : mark);
}

std::shared_ptr<const Text> ToText(Runtime& rt, const Value& value) {
  const auto make = [&](Text text) {
    rt.Make(text.size() + sizeof(Text));
    return std::make_shared<const Text>(std::move(text));
  };
  switch (value.kind()) {
    case Value::Kind::kText:
      return {value.text_ptr()};
    case Value::Kind::kUndefined:
      return make({});
    case Value::Kind::kNone:
      return make(Text("None"));
    case Value::Kind::kBool:
      return make(Text(value.bool_value() ? "True" : "False"));
    case Value::Kind::kInt:
      return make(Text(Cat(value.int_value())));
    case Value::Kind::kFloat:
      return make(Text(FloatText(value.float_value())));
    case Value::Kind::kList:
    case Value::Kind::kDict:
      return make(Repr(rt, value));
    case Value::Kind::kObject: {
      const auto* space = value.As<Namespace>();
      if (!space)
        throw rt.Fault("a ", value.TypeName(), " is printed; call it, or print its parts");
      const Level level(rt);
      Dict attributes;
      for (const auto& [key, member] : space->attributes().entries()) attributes.Set(key, member);
      Text text("<Namespace ");
      text.Append(Repr(rt, rt.NewDict(std::move(attributes)))).Append(">");
      return make(std::move(text));
    }
  }
  return make({});
}

Text Repr(Runtime& rt, const Value& value) {
  Printer printer(rt);
  printer.Print(value);
  return printer.Take();
}

}  // namespace retort::jinja
