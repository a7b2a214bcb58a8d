// SPDX-License-Identifier: Apache-2.0
#include "template/jinja/json_values.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/hex.h"
#include "base/strings.h"
#include "template/jinja/call.h"
#include "template/jinja/operators.h"
#include "tokenizer/utf8.h"

namespace retort::jinja {

Value FromJson(const Json& json, Origin origin, bool tracked, const std::string& where) {
  if (json.is_null()) return Value::None();
  if (json.is_boolean()) return Value::Of(json.get<bool>());
  if (json.is_string()) return Value::Of(json.get_ref<const std::string&>(), origin);
  if (json.is_number_unsigned() && json.get<uint64_t>() > uint64_t{INT64_MAX})
    throw InputError(where, ": the number ", json.get<uint64_t>(), " is beyond 64 bits");
  if (json.is_number_integer()) return Value::Of(json.get<int64_t>());
  if (json.is_number()) return Value::Of(json.get<double>());
  if (json.is_array()) {
    std::vector<Value> items;
    items.reserve(json.size());
    for (const Json& item : json) items.push_back(FromJson(item, origin, tracked, where));
    return Value::OfList(std::move(items));
  }
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, member] : json.items())
    dict->Set(Value::Of(key, origin), FromJson(member, origin, tracked, where));
  if (tracked) dict->Track();
  return Value::Of(std::shared_ptr<const Dict>(std::move(dict)));
}

namespace {

class JsonWriter {
 public:
  JsonWriter(Runtime& rt, const JsonStyle& style) : rt_(rt), style_(style) {}

  void Write(const Value& value) {
    rt_.Step();
    switch (value.kind()) {
      case Value::Kind::kNone:
        return Put("null");
      case Value::Kind::kBool:
        return Put(value.bool_value() ? "true" : "false");
      case Value::Kind::kInt:
        return Put(Cat(value.int_value()));
      case Value::Kind::kFloat:
        return Put(FloatJson(value.float_value()));
      case Value::Kind::kText:
        return WriteText(value.text());
      case Value::Kind::kList:
        if (value.list().sort() == List::Sort::kList || value.list().sort() == List::Sort::kTuple)
          return WriteList(value.list().items());
        break;
      case Value::Kind::kDict:
        return WriteDict(value.dict());
      default:
        break;
    }
    if (value.IsUndefined()) throw rt_.Fault(value.MissingName(), ", and is to be JSON");
    throw rt_.Fault("a ", value.TypeName(), " cannot be JSON");
  }

  Text Take() { return std::move(out_); }

 private:
  void Put(std::string_view text) {
    rt_.Make(text.size());
    out_.Append(text);
  }

  static std::string FloatJson(double v) {
    if (std::isnan(v)) return "NaN";
    if (std::isinf(v)) return v < 0 ? "-Infinity" : "Infinity";
    return FloatText(v);
  }

  static std::string HexEscape(char32_t unit) { return Cat("\\u", HexText(unit, 4)); }

  std::string EscapeOf(char32_t c) const {
    if (c == '"') return "\\\"";
    if (c == '\\') return "\\\\";
    if (c == '\n') return "\\n";
    if (c == '\r') return "\\r";
    if (c == '\t') return "\\t";
    if (c == '\f') return "\\f";
    if (c == '\b') return "\\b";
    if (c < 0x20 || (style_.ascii && c == 0x7f)) return c == 0x7f ? "" : HexEscape(c);
    if (!style_.ascii || c < 0x80) return "";
    if (c < 0x10000) return HexEscape(c);
    return HexEscape(0xd800 + ((c - 0x10000) >> 10)) + HexEscape(0xdc00 + ((c - 0x10000) & 0x3ff));
  }

  void WriteText(const Text& text) {
    rt_.Make(text.size() + 2);
    rt_.Step(text.size() / 16);
    const std::string_view view = text.view();
    out_.Append("\"");
    size_t from = 0;
    for (size_t at = 0; at < view.size();) {
      const auto byte = static_cast<unsigned char>(view[at]);
      const Utf8Char c = byte < 0x80    ? Utf8Char{byte, 1, true, false}
                         : style_.ascii ? DecodeUtf8(view, at)
                                        : Utf8Char{0xfffd, 1, true, false};
      const std::string escape = EscapeOf(c.code);
      const size_t size = c.valid ? static_cast<size_t>(c.size) : 1;
      if ((byte < 0x80 || style_.ascii) && !escape.empty()) {
        out_.Append(text, from, at).Append(escape, text.OriginAt(at));
        from = at + size;
      }
      at += size;
    }
    out_.Append(text, from, view.size()).Append("\"");
  }

  // Before an item at this level, or before the closing bracket.
  void NewLine(size_t level) {
    if (!style_.indent) return;
    Put("\n");
    for (size_t i = 0; i < level; ++i) Put(*style_.indent);
  }

  template <class Items, class WriteItem>
  void WriteAll(char open, char close, const Items& items, const WriteItem& write) {
    Put(std::string_view(&open, 1));
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_.Append(style_.item);
      rt_.Make(style_.item.size());
      NewLine(level_);
      write(items[i]);
    }
    --level_;
    if (!items.empty()) NewLine(level_);
    Put(std::string_view(&close, 1));
  }

  void WriteList(const std::vector<Value>& items) {
    WriteAll('[', ']', items, [&](const Value& item) { Write(item); });
  }

  void WriteDict(const Dict& dict) {
    std::vector<Dict::Entry> entries = dict.entries();
    rt_.Make(entries.size(), sizeof(Dict::Entry));
    if (style_.sorted) {
      std::ranges::stable_sort(entries, [&](const Dict::Entry& a, const Dict::Entry& b) {
        return MustOrder(rt_, a.first, b.first) < 0;
      });
    }
    WriteAll('{', '}', entries, [&](const Dict::Entry& entry) {
      const Value& key = entry.first;
      if (key.IsText()) {
        WriteText(key.text());
      } else {
        Put("\"");
        Write(key);
        Put("\"");
      }
      out_.Append(style_.key);
      Write(entry.second);
    });
  }

  Runtime& rt_;
  const JsonStyle& style_;
  Text out_;
  size_t level_ = 0;
};

// json.dumps as transformers gives it to templates, not Jinja's own, which escapes for HTML.
Value ToJsonFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'tojson'", arguments,
                    {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = bound.Flag(0, false);
  style.sorted = bound.Flag(3, false);
  if (bound.Has(1) && bound.Get(1)->IsText()) {
    style.indent = bound.Get(1)->text().bytes();
  } else if (bound.Has(1) && !bound.Get(1)->IsNone()) {
    const int64_t width = std::max<int64_t>(bound.Int(1, 0), 0);
    rt.Make(static_cast<uint64_t>(width));
    style.indent = std::string(static_cast<size_t>(width), ' ');
  }
  if (style.indent) style.item = Text(",");
  if (const Value* separators = bound.Get(2); separators && !separators->IsNone()) {
    const bool pair = separators->IsList() && separators->list().items().size() == 2 &&
                      separators->list().items()[0].IsText() &&
                      separators->list().items()[1].IsText();
    if (!pair) throw rt.Fault("filter 'tojson': 'separators' must be two texts");
    style.item = separators->list().items()[0].text();
    style.key = separators->list().items()[1].text();
  }
  return rt.NewText(ToJson(rt, value, style));
}

Value FromJsonFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'from_json'", arguments, {});
  if (!value.IsText()) throw rt.Fault("filter 'from_json' needs a str, not ", value.TypeName());
  const Text& text = value.text();
  rt.Make(text.size(), 16);
  Origin origin = kOwn;
  for (const Text::Run& run : text.Runs()) origin |= run.origin;
  return FromJson(
      ParseJson(text.view(), rt.Place() + "filter 'from_json'", false, RepeatedKeys::kLast), origin,
      false, rt.Place() + "filter 'from_json'");
}

}  // namespace

Text ToJson(Runtime& rt, const Value& value, const JsonStyle& style) {
  JsonWriter writer(rt, style);
  writer.Write(value);
  return writer.Take();
}

const std::vector<FilterEntry>& JsonFilters() {
  static const std::vector<FilterEntry> filters = {
      {"tojson", ToJsonFilter}, {"from_json", FromJsonFilter}, {"fromjson", FromJsonFilter}};
  return filters;
}

}  // namespace retort::jinja
