// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "template/jinja/characters.h"
#include "template/jinja/format.h"
#include "template/jinja/html.h"
#include "template/jinja/methods.h"
#include "template/jinja/operators.h"
#include "template/jinja/splitting.h"
#include "tokenizer/utf8.h"

namespace retort::jinja {
namespace {

Value TextList(Runtime& rt, std::vector<Text> parts, List::Sort sort = List::Sort::kList) {
  std::vector<Value> items;
  rt.Make(parts.size(), sizeof(Text));
  items.reserve(parts.size());
  for (Text& part : parts) items.push_back(rt.NewText(std::move(part)));
  return rt.NewList(std::move(items), sort);
}

// An argument that must be a text.
const Text& Part(Runtime& rt, const Bound& bound, size_t i, std::string_view what) {
  const Value& v = *bound.Get(i);
  if (v.IsText()) return v.text();
  throw rt.Fault(v.IsUndefined() ? v.MissingName() : Cat(what, " needs a str, not ", v.TypeName()));
}

template <CaseForm form>
Value ToCase(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "a method of str", arguments, {});
  rt.Step(self.text().size() / 8);
  return rt.NewText(InCase(self.text(), form));
}

template <Text (*change)(const Text&)>
Value Changed(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "a method of str", arguments, {});
  rt.Step(self.text().size() / 8);
  return rt.NewText(change(self.text()));
}

template <Side side>
Value Strip(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "strip()", arguments, {"chars"});
  if (!bound.Has(0) || bound.Get(0)->IsNone()) return rt.NewText(Stripped(self.text(), side));
  const Text& of = Part(rt, bound, 0, "strip()");
  rt.Step(self.text().size() / 8 * (of.size() + 1));
  return rt.NewText(Stripped(self.text(), side, of.view()));
}

template <bool from_right>
Value SplitMethod(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "split()", arguments, {"sep", "maxsplit"});
  const int64_t most = bound.Int(1, -1);
  rt.Step(self.text().size() / 8);
  if (!bound.Has(0) || bound.Get(0)->IsNone()) {
    return TextList(rt, from_right ? SplitAtSpacesFromRight(self.text(), most)
                                   : SplitAtSpaces(self.text(), most));
  }
  const Text& separator = Part(rt, bound, 0, "split()");
  if (separator.empty()) throw rt.Fault("split() needs a separator that is not empty");
  return TextList(rt, from_right ? SplitAtFromRight(self.text(), separator.view(), most)
                                 : SplitAt(self.text(), separator.view(), most));
}

Value SplitLinesMethod(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "splitlines()", arguments, {"keepends"});
  return TextList(rt, SplitLines(self.text(), bound.Flag(0, false)));
}

template <bool from_right>
Value Partition(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "partition()", arguments, {"sep"}, 1);
  const Text& separator = Part(rt, bound, 0, "partition()");
  if (separator.empty()) throw rt.Fault("partition() needs a separator that is not empty");
  const Text& text = self.text();
  const size_t at =
      from_right ? text.view().rfind(separator.view()) : text.view().find(separator.view());
  std::vector<Text> parts(3);
  if (at == std::string_view::npos) {
    parts[from_right ? 2 : 0] = text;
  } else {
    parts = {text.Sub(0, at), separator, text.Sub(at + separator.size(), text.size())};
  }
  return TextList(rt, std::move(parts), List::Sort::kTuple);
}

// The part that optional arguments `start` and `end` leave of the text. nullopt: they are beyond.
std::optional<Text> Within(Runtime& rt, const Value& self, const Bound& bound, int64_t* offset) {
  *offset = 0;
  if (!bound.Has(1) && !bound.Has(2)) return self.text();
  const int64_t size = Length(rt, self);
  const auto at = [&](size_t i, int64_t fallback) {
    int64_t v = bound.Has(i) && bound.Get(i)->IsNone() ? fallback : bound.Int(i, fallback);
    if (v < 0) v = std::max<int64_t>(0, v + size);
    return v;
  };
  const int64_t start = at(1, 0), end = std::min(at(2, size), size);
  if (start > size) return std::nullopt;
  *offset = start;
  if (end < start)
    return start <= size && end >= start ? std::optional<Text>(Text()) : std::nullopt;
  rt.Make(self.text().size());
  return self.text().Sub(ByteOfCharacter(self.bytes(), start), ByteOfCharacter(self.bytes(), end));
}

template <bool at_end>
Value Begins(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, at_end ? "endswith()" : "startswith()", arguments,
                    {"prefix", "start", "end"}, 1);
  int64_t offset = 0;
  const auto text = Within(rt, self, bound, &offset);
  const auto matches = [&](const Value& with) {
    if (!with.IsText()) {
      throw rt.Fault(with.IsUndefined()
                         ? with.MissingName()
                         : Cat("startswith() and endswith() need a str, not ", with.TypeName()));
    }
    if (!text) return false;
    return at_end ? text->view().ends_with(with.bytes()) : text->view().starts_with(with.bytes());
  };
  const Value& with = *bound.Get(0);
  if (with.IsList() && with.list().sort() == List::Sort::kTuple)
    return Value::Of(std::ranges::any_of(with.list().items(), matches));
  return Value::Of(matches(with));
}

// find and index, rfind and rindex: the character at which a part stands.
template <bool from_right, bool must>
Value Find(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "find()", arguments, {"sub", "start", "end"}, 1);
  int64_t offset = 0;
  const auto text = Within(rt, self, bound, &offset);
  const Text& part = Part(rt, bound, 0, "find()");
  rt.Step(self.text().size() / 16);
  const size_t at = !text        ? std::string_view::npos
                    : from_right ? text->view().rfind(part.view())
                                 : text->view().find(part.view());
  if (at != std::string_view::npos)
    return Value::Of(offset + CountCharacters(text->view().substr(0, at)));
  if (must) throw rt.Fault("index(): the part is not found");
  return Value::Of(int64_t{-1});
}

Value Count(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "count()", arguments, {"sub", "start", "end"}, 1);
  int64_t offset = 0;
  const auto text = Within(rt, self, bound, &offset);
  rt.Step(self.text().size() / 16);
  return Value::Of(text ? Occurrences(text->view(), Part(rt, bound, 0, "count()").view()) : 0);
}

Value Replace(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "replace()", arguments, {"old", "new", "count"}, 2);
  const Text &from = Part(rt, bound, 0, "replace()"), &to = Part(rt, bound, 1, "replace()");
  const int64_t most = bound.Int(2, -1);
  rt.Step(self.text().size() / 8);
  const int64_t found = Occurrences(self.bytes(), from.view());
  rt.Make(static_cast<uint64_t>(most < 0 ? found : std::min(found, most)), to.size());
  Text out =
      Replaced(self.text(), from.view(), self.text().html && !to.html ? Escaped(to) : to, most);
  out.html = self.text().html;
  return rt.NewText(std::move(out));
}

Value JoinMethod(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "join()", arguments, {"iterable"}, 1);
  Text out;
  const auto items = Iterate(rt, *bound.Get(0));
  for (size_t i = 0; i < items->items().size(); ++i) {
    const Value& item = items->items()[i];
    if (!item.IsText()) throw rt.Fault("join() needs texts, not ", item.TypeName());
    rt.Make(item.text().size() + self.text().size());
    if (i > 0) out.Append(self.text());
    out.Append(item.text());
  }
  out.html = self.text().html;
  return Value::Of(std::move(out));
}

template <char align>
Value Justify(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "ljust()", arguments, {"width", "fillchar"}, 1);
  FieldSpec spec;
  spec.width = bound.Int(0, 0);
  spec.align = align;
  if (bound.Has(1)) spec.fill = Part(rt, bound, 1, "ljust()").bytes();
  if (CountCharacters(spec.fill) != 1) throw rt.Fault("the fill must be one character");
  return rt.NewText(Padded(rt, self.text(), spec));
}

// Python puts the odd space of a text centred in an odd width on the left.
Value Center(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "center()", arguments, {"width", "fillchar"}, 1);
  const int64_t width = bound.Int(0, 0), missing = width - Length(rt, self);
  if (missing <= 0) return self;
  const std::string fill = bound.Has(1) ? Part(rt, bound, 1, "center()").bytes() : " ";
  if (CountCharacters(fill) != 1) throw rt.Fault("the fill must be one character");
  rt.Make(static_cast<uint64_t>(missing), fill.size());
  const int64_t left = missing / 2 + (missing & width & 1);
  Text out;
  for (int64_t i = 0; i < left; ++i) out.Append(fill);
  out.Append(self.text());
  for (int64_t i = left; i < missing; ++i) out.Append(fill);
  out.html = self.text().html;
  return rt.NewText(std::move(out));
}

Value ZeroFill(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "zfill()", arguments, {"width"}, 1);
  const int64_t missing = bound.Int(0, 0) - Length(rt, self);
  if (missing <= 0) return self;
  rt.Make(static_cast<uint64_t>(missing));
  const std::string_view view = self.bytes();
  const size_t sign = !view.empty() && (view[0] == '-' || view[0] == '+') ? 1 : 0;
  Text out = self.text().Sub(0, sign);
  out.Append(std::string(static_cast<size_t>(missing), '0'));
  return rt.NewText(std::move(out.Append(self.text(), sign, view.size())));
}

template <bool suffix>
Value Remove(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "removeprefix()", arguments, {"part"}, 1);
  const Text& part = Part(rt, bound, 0, "removeprefix()");
  const Text& text = self.text();
  if (part.empty()) return self;
  if (!suffix && text.view().starts_with(part.view()))
    return rt.NewText(text.Sub(part.size(), text.size()));
  if (suffix && text.view().ends_with(part.view()))
    return rt.NewText(text.Sub(0, text.size() - part.size()));
  return self;
}

Value ExpandTabs(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "expandtabs()", arguments, {"tabsize"});
  const int64_t size = std::clamp<int64_t>(bound.Int(0, 8), 0, 1000);
  const std::vector<size_t> starts = CharacterStarts(self.bytes());
  Text out;
  int64_t column = 0;
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    const char c = self.bytes()[starts[i]];
    if (c != '\t') {
      out.Append(self.text(), starts[i], starts[i + 1]);
      column = c == '\n' || c == '\r' ? 0 : column + 1;
      continue;
    }
    const int64_t spaces = size ? size - column % size : 0;
    rt.Make(static_cast<uint64_t>(spaces));
    out.Append(std::string(static_cast<size_t>(spaces), ' '), self.text().OriginAt(starts[i]));
    column += spaces;
  }
  return rt.NewText(std::move(out));
}

Value FormatMethod(Runtime& rt, const Value& self, const Arguments& arguments) {
  return FormatBraces(rt, self.text(), arguments);
}

// isalpha and its relatives: all characters are so, and there is one.
template <bool (*is)(char32_t)>
Value AllAre(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "a method of str", arguments, {});
  const std::string_view view = self.bytes();
  rt.Step(view.size() / 8);
  for (size_t at = 0; at < view.size();) {
    const Utf8Char c = DecodeUtf8(view, at);
    if (!c.valid || !is(c.code)) return Value::Of(false);
    at += static_cast<size_t>(c.size);
  }
  return Value::Of(!view.empty());
}

bool IsLetterOrNumber(char32_t c) { return IsLetter(c) || IsNumeric(c); }

// isupper and islower: no character of the other case, and one of this.
template <bool (*is)(char32_t), bool (*other)(char32_t)>
Value CasedAre(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "a method of str", arguments, {});
  const std::string_view view = self.bytes();
  rt.Step(view.size() / 8);
  bool any = false;
  for (size_t at = 0; at < view.size();) {
    const Utf8Char c = DecodeUtf8(view, at);
    if (c.valid && (other(c.code) || IsTitle(c.code))) return Value::Of(false);
    any = any || (c.valid && is(c.code));
    at += c.valid ? static_cast<size_t>(c.size) : 1;
  }
  return Value::Of(any);
}

Value IsTitled(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "istitle()", arguments, {});
  const std::string_view view = self.bytes();
  rt.Step(view.size() / 8);
  bool within = false, any = false;
  for (size_t at = 0; at < view.size();) {
    const Utf8Char c = DecodeUtf8(view, at);
    const bool up = c.valid && (IsUpper(c.code) || IsTitle(c.code));
    const bool low = c.valid && IsLower(c.code);
    if ((up && within) || (low && !within)) return Value::Of(false);
    within = up || low;
    any = any || within;
    at += c.valid ? static_cast<size_t>(c.size) : 1;
  }
  return Value::Of(any);
}

Value IsAsciiMethod(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound bound(rt, "isascii()", arguments, {});
  return Value::Of(std::ranges::all_of(
      self.bytes(), [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
}

struct TextMethodEntry {
  std::string_view name;
  Method method;
};

constexpr TextMethodEntry kTextMethods[] = {
    {"capitalize", Changed<Capitalized>},
    {"casefold", ToCase<CaseForm::kFold>},
    {"center", Center},
    {"count", Count},
    {"endswith", Begins<true>},
    {"expandtabs", ExpandTabs},
    {"find", Find<false, false>},
    {"format", FormatMethod},
    {"index", Find<false, true>},
    {"isalnum", AllAre<IsLetterOrNumber>},
    {"isalpha", AllAre<IsLetter>},
    {"isascii", IsAsciiMethod},
    {"isdecimal", AllAre<IsDecimal>},
    {"isdigit", AllAre<IsDecimal>},
    {"islower", CasedAre<IsLower, IsUpper>},
    {"isnumeric", AllAre<IsNumeric>},
    {"isprintable", AllAre<IsPrintable>},
    {"isspace", AllAre<IsPythonSpace>},
    {"istitle", IsTitled},
    {"isupper", CasedAre<IsUpper, IsLower>},
    {"join", JoinMethod},
    {"ljust", Justify<'<'>},
    {"lower", ToCase<CaseForm::kLower>},
    {"lstrip", Strip<Side::kLeft>},
    {"partition", Partition<false>},
    {"removeprefix", Remove<false>},
    {"removesuffix", Remove<true>},
    {"replace", Replace},
    {"rfind", Find<true, false>},
    {"rindex", Find<true, true>},
    {"rjust", Justify<'>'>},
    {"rpartition", Partition<true>},
    {"rsplit", SplitMethod<true>},
    {"rstrip", Strip<Side::kRight>},
    {"split", SplitMethod<false>},
    {"splitlines", SplitLinesMethod},
    {"startswith", Begins<false>},
    {"strip", Strip<Side::kBoth>},
    {"swapcase", Changed<SwappedCase>},
    {"title", Changed<Titled>},
    {"upper", ToCase<CaseForm::kUpper>},
    {"zfill", ZeroFill},
};

}  // namespace

Method FindTextMethod(std::string_view name) {
  const auto* found = std::ranges::lower_bound(kTextMethods, name, {}, &TextMethodEntry::name);
  return found != std::end(kTextMethods) && found->name == name ? found->method : nullptr;
}

}  // namespace retort::jinja
