// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/ascii.h"
#include "template/jinja/call.h"
#include "template/jinja/characters.h"
#include "template/jinja/format.h"
#include "template/jinja/html.h"
#include "template/jinja/methods.h"
#include "template/jinja/operators.h"
#include "template/jinja/splitting.h"
#include "tokenizer/utf8.h"

namespace retort::jinja {
namespace {

Value TextOf(Runtime& rt, const Value& value) { return Value::Of(ToText(rt, value)); }

// A filter that is the method of the same name.
template <const char* const& name>
Value AsMethod(Runtime& rt, const Value& value, const Arguments& arguments) {
  return FindTextMethod(name)(rt, TextOf(rt, value), arguments);
}
constexpr const char* kUpperName = "upper";
constexpr const char* kLowerName = "lower";
constexpr const char* kCapitalizeName = "capitalize";
constexpr const char* kStripName = "strip";

// Jinja's: after white space, a hyphen or an opening bracket, a capital.
Value TitleFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'title'", arguments, {});
  const auto text = ToText(rt, value);
  rt.Make(text->size());
  rt.Step(text->size() / 8);
  const std::vector<size_t> starts = CharacterStarts(text->view());
  Text out;
  const auto word = [&](size_t begin, size_t end) {  // of characters
    if (begin == end) return;
    out.Append(InCase(text->Sub(starts[begin], starts[begin + 1]), CaseForm::kUpper));
    out.Append(InCase(text->Sub(starts[begin + 1], starts[end]), CaseForm::kLower));
  };
  size_t begin = 0;
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    const Text c = text->Sub(starts[i], starts[i + 1]);
    const bool splits = Stripped(c, Side::kBoth).empty() ||
                        std::string_view("-({[<").find(c.view()) != std::string_view::npos;
    if (!splits) continue;
    word(begin, i);
    out.Append(c);
    begin = i + 1;
  }
  word(begin, starts.size() - 1);
  out.html = text->html;
  return Value::Of(std::move(out));
}

Value ReplaceFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'replace'", arguments, {"old", "new", "count"}, 2);
  Arguments plain;
  for (size_t i = 0; i < 2; ++i) plain.positional.push_back(TextOf(rt, *bound.Get(i)));
  if (bound.Has(2) && !bound.Get(2)->IsNone()) plain.positional.push_back(*bound.Get(2));
  Text text = *ToText(rt, value);
  text.html = false;  // str() of it
  return FindTextMethod("replace")(rt, Value::Of(std::move(text)), plain);
}

Value CenterFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'center'", arguments, {"width"});
  Arguments plain;
  plain.positional.push_back(Value::Of(bound.Int(0, 80)));
  return FindTextMethod("center")(rt, TextOf(rt, value), plain);
}

Value StringFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'string'", arguments, {});
  return TextOf(rt, value);
}

template <bool again>
Value EscapeFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'escape'", arguments, {});
  const auto text = ToText(rt, value);
  if (text->html && !again) return Value::Of(text);
  rt.Step(text->size() / 8);
  return rt.NewText(Escaped(*text));
}

Value SafeFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'safe'", arguments, {});
  const auto text = ToText(rt, value);
  if (text->html) return Value::Of(text);
  Text safe = *text;
  safe.html = true;
  return rt.NewText(std::move(safe));
}

Value StripTagsFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'striptags'", arguments, {});
  const auto text = ToText(rt, value);
  rt.Step(text->size() / 2);
  return rt.NewText(WithoutTags(*text));
}

Value FormatFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty())
    throw rt.Fault("filter 'format' takes values by place or by name, not both");
  const auto text = ToText(rt, value);
  if (arguments.named.empty())
    return FormatPercent(rt, *text, rt.NewList(arguments.positional, List::Sort::kTuple));
  Dict dict;
  for (const auto& [name, named] : arguments.named) dict.Set(Value::Of(name), named);
  return FormatPercent(rt, *text, rt.NewDict(std::move(dict)));
}

Value WordCountFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'wordcount'", arguments, {});
  const auto text = ToText(rt, value);
  rt.Step(text->size() / 8);
  int64_t words = 0;
  bool within = false;
  for (size_t at = 0; at < text->size();) {
    const Utf8Char c = DecodeUtf8(text->view(), at);
    const bool word = c.valid && (c.code == '_' || IsLetter(c.code) || IsNumeric(c.code));
    words += word && !within;
    within = word;
    at += c.valid ? static_cast<size_t>(c.size) : 1;
  }
  return Value::Of(words);
}

Text UrlQuoted(const Text& text, bool query) {
  Text out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text.view()[i];
    const bool plain = IsLetterOrDigit(c) ||
                       std::string_view("_.-~").find(c) != std::string_view::npos ||
                       (c == '/' && !query);
    if (plain) {
      out.Append(text, i, i + 1);
    } else if (c == ' ' && query) {
      out.Append("+", text.OriginAt(i));
    } else {
      const auto byte = static_cast<unsigned char>(c);
      const char digits[] = {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
      out.Append(std::string_view(digits, 3), text.OriginAt(i));
    }
  }
  return out;
}

Value UrlEncodeFilter(Runtime& rt, const Value& value, const Arguments& arguments) {
  const Bound bound(rt, "filter 'urlencode'", arguments, {});
  if (!value.IsDict() && (!value.IsList())) {
    const auto text = ToText(rt, value);
    rt.Make(3 * text->size());
    return rt.NewText(UrlQuoted(*text, false));
  }
  std::vector<std::pair<Value, Value>> pairs;
  if (value.IsDict()) {
    pairs = value.dict().entries();
  } else {
    const auto items = Iterate(rt, value);
    for (const Value& item : items->items()) {
      if (!item.IsList() || item.list().items().size() != 2)
        throw rt.Fault("filter 'urlencode' needs a text, a dict or a list of pairs");
      pairs.emplace_back(item.list().items()[0], item.list().items()[1]);
    }
  }
  Text out;
  for (const auto& [key, member] : pairs) {
    if (!out.empty()) out.Append("&");
    const auto name = ToText(rt, key), shown = ToText(rt, member);
    rt.Make(3 * (name->size() + shown->size()));
    out.Append(UrlQuoted(*name, true)).Append("=").Append(UrlQuoted(*shown, true));
  }
  return rt.NewText(std::move(out));
}

}  // namespace

const std::vector<FilterEntry>& TextFilters() {
  static const std::vector<FilterEntry> filters = {
      {"upper", AsMethod<kUpperName>},
      {"lower", AsMethod<kLowerName>},
      {"capitalize", AsMethod<kCapitalizeName>},
      {"trim", AsMethod<kStripName>},
      {"title", TitleFilter},
      {"replace", ReplaceFilter},
      {"center", CenterFilter},
      {"string", StringFilter},
      {"escape", EscapeFilter<false>},
      {"e", EscapeFilter<false>},
      {"forceescape", EscapeFilter<true>},
      {"safe", SafeFilter},
      {"striptags", StripTagsFilter},
      {"format", FormatFilter},
      {"wordcount", WordCountFilter},
      {"urlencode", UrlEncodeFilter},
  };
  return filters;
}

}  // namespace retort::jinja
