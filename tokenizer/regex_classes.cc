// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/regex_classes.h"

#include <vector>

#include "base/error.h"
#include "base/hex.h"
#include "base/text.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr int kMaxNesting = 64;                // of brackets in brackets
constexpr const char* kWordCategory = "word";  // not a category, but said by some

}  // namespace

void AppendCode(char32_t code, std::string* out) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  *out += "\\x{";
  for (int shift = 20; shift >= 0; shift -= 4) {
    if (code >> shift || shift == 0) *out += kDigits[code >> shift & 15];
  }
  *out += '}';
}

std::string BracketsOf(const CodeSet& set) {
  std::string out;
  for (CodeRange range : set.ranges()) {
    // No text has surrogates, and PCRE2 refuses them.
    if (range.first >= 0xD800 && range.first <= 0xDFFF) range.first = 0xE000;
    if (range.last >= 0xD800 && range.last <= 0xDFFF) range.last = 0xD7FF;
    if (range.first > range.last) continue;
    AppendCode(range.first, &out);
    if (range.last == range.first) continue;
    out += '-';
    AppendCode(range.last, &out);
  }
  return out;
}

// The class that begins at the backslash at pos_, which it passes; nullopt for other escapes.
std::optional<ClassReader::Class> ClassReader::ClassEscape() {
  static const CodeSet hex_digits(std::vector<CodeRange>{{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
  const char c = in_[pos_ + 1];
  const auto found = [&](const CodeSet& set, std::string_view category, bool negated) {
    pos_ += 2;
    return Class{&set, std::string(category), negated};
  };
  switch (c) {
    case 's':
    case 'S':
      return found(*PropertySet("White_Space"), "", c == 'S');
    case 'd':
    case 'D':
      return found(*PropertySet("Nd"), "Nd", c == 'D');
    case 'w':
    case 'W':
      return found(ExpressionWordChars(), kWordCategory, c == 'W');
    case 'h':
    case 'H':
      return found(hex_digits, "", c == 'H');
    case 'p':
    case 'P':
      return Property(c == 'P');
    default:
      return std::nullopt;
  }
}

ClassReader::Class ClassReader::Property(bool negated) {
  const size_t open = pos_ + 2;
  const size_t close = open < in_.size() && in_[open] == '{' ? in_.find('}', open) : in_.npos;
  if (close == in_.npos)
    throw InputError(where_, ": the expression ", Quoted(in_), ": \\p without a name in braces");
  std::string_view name = in_.substr(open + 1, close - open - 1);
  if (name.starts_with('^')) negated = !negated, name.remove_prefix(1);
  const CodeSet* set = PropertySet(name);
  if (!set) {
    throw InputError(where_, ": the expression ", Quoted(in_), ": the property ", Quoted(name),
                     " is not known; known are general categories and scripts");
  }
  pos_ = close + 1;
  return {set, name.size() <= 2 ? std::string(name) : "", negated};
}

// A class as what stands in brackets.
std::string ClassReader::Items(const Class& of) const {
  if (of.negated) return BracketsOf(of.set->Complement());
  if (of.category == kWordCategory) return WordItems();
  std::string items = of.category.empty() ? "" : items_(of.category, *of.set);
  return items.empty() ? BracketsOf(*of.set) : items;
}
// Categories say it shorter than ranges.
std::string ClassReader::WordItems() const {
  std::string items;
  CodeSet rest = ExpressionWordChars();
  for (const char* category : {"L", "M", "Nd", "Nl", "Pc"}) {
    items += Items({PropertySet(category), category, false});
    rest = rest.Without(*PropertySet(category));
  }
  return items + BracketsOf(rest);
}
std::string ClassReader::InBrackets(const Class& of) const {
  return Cat(of.negated ? "[^" : "[", Items({of.set, of.category, false}), "]");
}

// \uHHHH, passing it; nullopt for other escapes.
std::optional<char32_t> ClassReader::CodeEscape() {
  if (in_[pos_ + 1] != 'u' || in_.size() - pos_ < 6) return std::nullopt;
  char32_t code = 0;
  for (const char c : in_.substr(pos_ + 2, 4)) {
    const int digit = HexDigit(c);
    if (digit < 0) return std::nullopt;
    code = code * 16 + static_cast<char32_t>(digit);
  }
  pos_ += 6;
  return code;
}

// The brackets at pos_, which it passes.
std::string ClassReader::Bracket() {
  const size_t begin = pos_;
  if (auto simple = SimpleBracket()) return *std::move(simple);
  pos_ = begin;
  return Cat("[", BracketsOf(BracketSet(0)), "]");
}

bool ClassReader::AtText(std::string_view text) const { return in_.substr(pos_).starts_with(text); }

// [:name:] or [:^name:], passing it; nullopt if there is none.
std::optional<ClassReader::Class> ClassReader::Posix() {
  static const CodeSet ascii(std::vector<CodeRange>{{0, 0x7F}});
  static const CodeSet punct = PropertySet("P")->Union(*PropertySet("S"));
  if (!AtText("[:")) return std::nullopt;
  const size_t end = in_.find(":]", pos_);
  if (end == in_.npos) return std::nullopt;
  std::string_view name = in_.substr(pos_ + 2, end - pos_ - 2);
  const bool negated = name.starts_with('^');
  if (negated) name.remove_prefix(1);
  const CodeSet* set = name == "space"   ? PropertySet("White_Space")
                       : name == "digit" ? PropertySet("Nd")
                       : name == "alpha" ? PropertySet("Alphabetic")
                       : name == "word"  ? &ExpressionWordChars()
                       : name == "punct" ? &punct
                       : name == "cntrl" ? PropertySet("Cc")
                       : name == "ascii" ? &ascii
                                         : nullptr;
  if (!set) {
    throw InputError(where_, ": the expression ", Quoted(in_), ": the class [:", Quoted(name),
                     ":] is not known");
  }
  pos_ = end + 2;
  return Class{set, "", negated};
}

// Brackets without brackets and && in them; nullopt if there are any.
std::optional<std::string> ClassReader::SimpleBracket() {
  std::string out(1, in_[pos_++]);
  if (AtText("^")) out += in_[pos_++];
  for (bool first = true; pos_ < in_.size(); first = false) {
    const char c = in_[pos_];
    if (c == ']' && !first) {
      ++pos_;
      return out + ']';
    }
    if (AtText("&&")) return std::nullopt;
    if (c == '[') {
      const auto posix = Posix();
      if (!posix) return std::nullopt;
      out += Items(*posix);
    } else if (c == '\\' && pos_ + 1 < in_.size()) {
      if (const auto of = ClassEscape()) {
        out += Items(*of);
      } else if (const auto code = CodeEscape()) {
        AppendCode(*code, &out);
      } else {
        const auto size = static_cast<size_t>(DecodeUtf8(in_, pos_ + 1).size);
        out += in_.substr(pos_, 1 + size);
        pos_ += 1 + size;
      }
    } else {
      if (c == ']') out += '\\';
      out += in_[pos_++];
    }
  }
  return out;  // without an end: PCRE2 says so
}

// One character of brackets, escaped or not, passing it.
char32_t ClassReader::BracketChar() {
  if (in_[pos_] == '\\' && pos_ + 1 < in_.size()) {
    if (const auto code = CodeEscape()) return *code;
    const char c = in_[++pos_];
    if (c == 'x') return HexChar();
    static constexpr std::string_view kNames = "nrtfvabe";
    if (const size_t known = kNames.find(c); known != kNames.npos) {
      ++pos_;
      return static_cast<char32_t>("\n\r\t\f\v\a\b\x1B"[known]);
    }
  }
  const Utf8Char c = DecodeUtf8(in_, pos_);
  pos_ += static_cast<size_t>(c.size);
  return c.code;
}

// xHH or x{H...}
char32_t ClassReader::HexChar() {
  ++pos_;
  const bool braces = AtText("{");
  if (braces) ++pos_;
  char32_t code = 0;
  for (int i = 0; i < (braces ? 6 : 2) && pos_ < in_.size() && HexDigit(in_[pos_]) >= 0; ++i)
    code = code * 16 + static_cast<char32_t>(HexDigit(in_[pos_++]));
  if (braces && AtText("}")) ++pos_;
  return code;
}

// The characters of brackets of any kind, passing them.
CodeSet ClassReader::BracketSet(int depth) {
  if (depth > kMaxNesting)
    throw InputError(where_, ": the expression ", Quoted(in_),
                     " has too many brackets in brackets");
  ++pos_;
  const bool negated = AtText("^");
  if (negated) ++pos_;
  std::optional<CodeSet> all;  // of the parts before the last &&
  std::vector<CodeRange> ranges;
  const auto end_part = [&] {
    CodeSet part(std::move(ranges));
    ranges.clear();
    all = all ? all->Intersection(part) : std::move(part);
  };
  const auto add = [&](const CodeSet& set) {
    ranges.insert(ranges.end(), set.ranges().begin(), set.ranges().end());
  };
  for (bool first = true; !AtText("]") || first; first = false) {
    if (pos_ >= in_.size())
      throw InputError(where_, ": the expression ", Quoted(in_), " has brackets without an end");
    if (AtText("&&")) {
      pos_ += 2;
      end_part();
      continue;
    }
    std::optional<Class> of = Posix();
    if (!of && AtText("[")) {
      add(BracketSet(depth + 1));
      continue;
    }
    if (!of && in_[pos_] == '\\' && pos_ + 1 < in_.size()) of = ClassEscape();
    if (of) {
      add(of->negated ? of->set->Complement() : *of->set);
      continue;
    }
    const char32_t begin = BracketChar();
    const bool range = AtText("-") && pos_ + 1 < in_.size() && in_[pos_ + 1] != ']';
    if (range) ++pos_;
    const char32_t end = range ? BracketChar() : begin;
    if (end < begin)
      throw InputError(where_, ": the expression ", Quoted(in_), " has a range that is empty");
    ranges.push_back({begin, end});
  }
  ++pos_;
  end_part();
  return negated ? all->Complement() : *all;
}

}  // namespace retort
