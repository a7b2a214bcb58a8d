// SPDX-License-Identifier: Apache-2.0
#include "grammar/regex_reader.h"

#include <algorithm>
#include <optional>

#include "base/ascii.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/text.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr size_t kMostRegexBytes = 32 << 10;
constexpr int kMostRegexDepth = 100;
constexpr uint32_t kMostRepeats = 1'000'000;
constexpr size_t kMostRanges = 200'000;  // of characters; only properties have so many
constexpr uint64_t kRangeSteps = 3;      // what a range costs

const CodeSet& Digits() {
  static const CodeSet set({{'0', '9'}});
  return set;
}
const CodeSet& WordCharacters() {
  static const CodeSet set({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
  return set;
}
const CodeSet& Spaces() {
  static const CodeSet set({{9, 13},
                            {' ', ' '},
                            {0xA0, 0xA0},
                            {0x1680, 0x1680},
                            {0x2000, 0x200A},
                            {0x2028, 0x2029},
                            {0x202F, 0x202F},
                            {0x205F, 0x205F},
                            {0x3000, 0x3000},
                            {0xFEFF, 0xFEFF}});
  return set;
}
const CodeSet& LineEnds() {
  static const CodeSet set({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}});
  return set;
}

CodeSet Only(char32_t code) { return CodeSet({{code, code}}); }

// A part of an expression, and whether ^ and $ tie it to the ends of the text.
struct Piece {
  ExpressionId expression = Expressions::kEmpty;
  bool from_start = false, to_end = false;
};

class RegexReader {
 public:
  RegexReader(Expressions& expressions, std::string_view pattern, Spelling spelling,
              const std::string& where)
      : expressions_(expressions), text_(pattern), spelling_(spelling), where_(where) {
    if (pattern.size() > kMostRegexBytes)
      throw InputError(where, ": the expression has more than ", kMostRegexBytes, " bytes");
    if (ValidUtf8End(pattern, 0) != pattern.size()) Refuse("is not UTF-8");
  }

  // The alternatives of the whole expression.
  std::vector<Piece> Read() {
    std::vector<Piece> pieces = Alternatives();
    if (at_ < text_.size()) Refuse("has a ')' too many");
    return pieces;
  }

 private:
  [[noreturn]] void Refuse(std::string_view what) const {
    throw InputError(where_, ": the expression ", Quoted(text_), " ", what, " at byte ", at_ + 1);
  }
  [[noreturn]] void RefuseFeature(std::string_view feature) const {
    throw InputError(where_, ": the expression ", Quoted(text_), " has ", feature, " at byte ",
                     at_ + 1, ", which a grammar cannot have; write it without");
  }
  bool Take(std::string_view expected) {
    if (text_.substr(at_).substr(0, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }
  char32_t TakeCharacter() {
    const Utf8Char c = DecodeUtf8(text_, at_);
    at_ += static_cast<size_t>(c.size);
    return c.code;
  }

  std::vector<Piece> Alternatives() {
    if (++depth_ > kMostRegexDepth) Refuse("nests too deeply");
    std::vector<Piece> pieces;
    do {
      std::vector<Piece> more = Sequence();
      pieces.insert(pieces.end(), more.begin(), more.end());
    } while (Take("|"));
    --depth_;
    return pieces;
  }

  // An alternative; several if it is no more than a group of them.
  std::vector<Piece> Sequence() {
    Piece piece;
    std::vector<ExpressionId> parts;
    std::vector<Piece> group;  // if the alternative is one group with anchors within
    while (at_ < text_.size() && text_[at_] != '|' && text_[at_] != ')') {
      if (piece.to_end) Refuse("has something behind '$'");
      if (Take("^")) {
        if (!parts.empty()) Refuse("has '^' behind something");
        piece.from_start = true;
      } else if (Take("$")) {
        while (Take("$")) {
        }
        piece.to_end = true;
      } else {
        if (!group.empty()) Refuse("has '^' or '$' within a larger expression");
        parts.push_back(Repeated(group));
        if (!group.empty() && (parts.size() > 1 || piece.from_start))
          Refuse("has '^' or '$' within a larger expression");
      }
    }
    if (!group.empty()) {
      if (piece.to_end) Refuse("has '^' or '$' within a larger expression");
      return group;
    }
    piece.expression = expressions_.Concat(parts);
    return {piece};
  }

  ExpressionId Repeated(std::vector<Piece>& group) {
    const ExpressionId atom = Atom(group);
    ExpressionId whole = atom;
    bool counted = false;
    uint32_t least, most;
    while (Count(&least, &most)) {
      if (counted) Refuse("repeats a repetition");
      if (!group.empty()) Refuse("repeats '^' or '$'");
      whole = expressions_.Repeat(atom, least, most);
      counted = true;
      if (at_ < text_.size() && text_[at_] == '+') RefuseFeature("a possessive repetition");
      Take("?");  // lazy: the same texts
    }
    return whole;
  }

  bool Count(uint32_t* least, uint32_t* most) {
    *least = 0, *most = Expressions::kNoLimit;
    if (Take("*")) return true;
    if (Take("+")) return *least = 1, true;
    if (Take("?")) return *most = 1, true;
    const size_t before = at_;
    if (!Take("{")) return false;
    const std::optional<uint32_t> first = Number();
    bool closed = false;
    if (first) {
      *least = *first, *most = *first;
      if (Take(",")) *most = Number().value_or(Expressions::kNoLimit);
      closed = Take("}");
    }
    if (!closed) return at_ = before, false;  // a brace that is a character
    if (*least > *most) Refuse("has a repetition whose counts are out of order");
    return true;
  }

  std::optional<uint32_t> Number() {
    const size_t before = at_;
    uint64_t number = 0;
    while (at_ < text_.size() && IsDigit(text_[at_])) {
      number = number * 10 + static_cast<uint64_t>(text_[at_++] - '0');
      if (number > kMostRepeats) Refuse("repeats more than 1000000 times");
    }
    if (at_ == before) return std::nullopt;
    return static_cast<uint32_t>(number);
  }

  ExpressionId Atom(std::vector<Piece>& group) {
    const char c = text_[at_];
    if (c == '*' || c == '+' || c == '?') Refuse("repeats nothing");
    if (c == '(') return Group(group);
    if (c == '[') return One(Bracket());
    if (Take(".")) return One(AllCharacters().Without(LineEnds()));
    if (c == '\\') return One(Escape(false));
    return One(Only(TakeCharacter()));
  }

  ExpressionId One(const CodeSet& set) {
    CountRanges(set);
    return OneOf(expressions_, set, spelling_);
  }

  void CountRanges(const CodeSet& set) {
    ranges_ += set.ranges().size();
    expressions_.Charge(kRangeSteps * set.ranges().size());
    if (ranges_ > kMostRanges) Refuse(Cat("has more than ", kMostRanges, " ranges of characters"));
  }

  ExpressionId Group(std::vector<Piece>& group) {
    for (const char* look : {"(?=", "(?!"})
      if (text_.substr(at_).starts_with(look)) RefuseFeature("lookahead");
    for (const char* look : {"(?<=", "(?<!"})
      if (text_.substr(at_).starts_with(look)) RefuseFeature("lookbehind");
    if (Take("(?:")) {
    } else if (Take("(?<") || Take("(?P<")) {
      while (at_ < text_.size() && text_[at_] != '>') ++at_;
      Take(">");
    } else if (text_.substr(at_).starts_with("(?")) {
      RefuseFeature("a group with options");
    } else {
      Take("(");
    }
    std::vector<Piece> pieces = Alternatives();
    if (!Take(")")) Refuse("lacks a ')'");
    if (std::ranges::any_of(pieces, [](const Piece& p) { return p.from_start || p.to_end; }))
      group = pieces;
    std::vector<ExpressionId> parts;
    parts.reserve(pieces.size());
    for (const Piece& piece : pieces) parts.push_back(piece.expression);
    return expressions_.Union(std::move(parts));
  }

  char32_t Hex(size_t digits) {
    char32_t code = 0;
    for (size_t i = 0; i < digits; ++i, ++at_) {
      const int digit = at_ < text_.size() ? HexDigit(text_[at_]) : -1;
      if (digit < 0) Refuse("has an incomplete escape");
      code = code * 16 + static_cast<char32_t>(digit);
    }
    return code;
  }

  char32_t Unicode() {
    if (Take("{")) {
      char32_t code = 0;
      while (at_ < text_.size() && text_[at_] != '}') {
        code = code * 16 + Hex(1);
        if (code > 0x10FFFF) Refuse("names a character that there is not");
      }
      if (!Take("}")) Refuse("has an incomplete escape");
      return code;
    }
    const char32_t code = Hex(4);
    if (code < 0xD800 || code > 0xDBFF || !Take("\\u")) return code;
    const char32_t low = Hex(4);
    if (low < 0xDC00 || low > 0xDFFF) Refuse("has half a character");
    return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }

  char32_t Control() {
    const char letter = at_ < text_.size() ? text_[at_++] : '\0';
    if (!IsLetter(letter)) Refuse("has an incomplete escape");
    return static_cast<char32_t>(letter) % 32;
  }

  CodeSet Property(bool inverted) {
    if (!Take("{")) Refuse("has an incomplete escape");
    const size_t end = text_.find('}', at_);
    if (end == std::string_view::npos) Refuse("has an incomplete escape");
    std::string_view name = text_.substr(at_, end - at_);
    name = name.substr(name.find('=') + 1);  // "Script=Greek"; npos + 1 is 0
    const CodeSet* set = PropertySet(name);
    if (!set) Refuse(Cat("has an unknown property ", Quoted(name)));
    at_ = end + 1;
    return inverted ? AllCharacters().Without(*set) : *set;
  }

  CodeSet Escape(bool in_brackets) {
    ++at_;
    if (at_ == text_.size()) Refuse("ends in a backslash");
    const size_t begin = at_;
    const char32_t c = TakeCharacter();
    switch (c) {
      case 'd':
        return Digits();
      case 'D':
        return AllCharacters().Without(Digits());
      case 'w':
        return WordCharacters();
      case 'W':
        return AllCharacters().Without(WordCharacters());
      case 's':
        return Spaces();
      case 'S':
        return AllCharacters().Without(Spaces());
      case 'p':
        return Property(false);
      case 'P':
        return Property(true);
      case 't':
        return Only('\t');
      case 'n':
        return Only('\n');
      case 'r':
        return Only('\r');
      case 'f':
        return Only('\f');
      case 'v':
        return Only('\v');
      case '0':
        return Only(0);
      case 'x':
        return Only(Hex(2));
      case 'u':
        return Only(Unicode());
      case 'c':
        return Only(Control());
      default:
        break;
    }
    if (c == 'b' && in_brackets) return Only('\b');
    at_ = begin;
    if (c >= '1' && c <= '9') RefuseFeature("a backreference");
    if (c == 'b' || c == 'B') RefuseFeature("a word boundary");
    if (c == 'k') RefuseFeature("a backreference");
    if (c < 128 && IsLetter(static_cast<char>(c))) Refuse("has an unknown escape");
    return Only(TakeCharacter());
  }

  CodeSet Bracket() {
    Take("[");
    const bool inverted = Take("^");
    std::vector<CodeRange> ranges;
    const auto add = [&](const CodeSet& set) {
      CountRanges(set);
      ranges.insert(ranges.end(), set.ranges().begin(), set.ranges().end());
    };
    while (!Take("]")) {
      if (at_ >= text_.size()) Refuse("lacks a ']'");
      if (text_.substr(at_).starts_with("[:")) RefuseFeature("a POSIX class");
      const CodeSet first = text_[at_] == '\\' ? Escape(true) : Only(TakeCharacter());
      const bool range = at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']';
      if (!range || !IsOne(first)) {
        add(first);
        continue;
      }
      Take("-");
      const CodeSet last = text_[at_] == '\\' ? Escape(true) : Only(TakeCharacter());
      if (!IsOne(last)) {  // "[a-\d]": the three of them, as browsers read it
        add(first), add(Only('-')), add(last);
        continue;
      }
      const CodeRange from = first.ranges()[0], to = last.ranges()[0];
      if (from.first > to.first) Refuse("has a range whose ends are out of order");
      add(CodeSet({{from.first, to.first}}));
    }
    const CodeSet set(std::move(ranges));
    return inverted ? AllCharacters().Without(set) : set;
  }

  static bool IsOne(const CodeSet& set) {
    return set.ranges().size() == 1 && set.ranges()[0].first == set.ranges()[0].last;
  }

  Expressions& expressions_;
  std::string_view text_;
  const Spelling spelling_;
  const std::string& where_;
  size_t at_ = 0;
  int depth_ = 0;
  size_t ranges_ = 0;
};

}  // namespace

ExpressionId ReadWholeRegex(Expressions& expressions, std::string_view pattern, Spelling spelling,
                            const std::string& where) {
  std::vector<ExpressionId> parts;
  for (const Piece& piece : RegexReader(expressions, pattern, spelling, where).Read())
    parts.push_back(piece.expression);
  return expressions.Union(std::move(parts));
}

ExpressionId ReadSearchRegex(Expressions& expressions, std::string_view pattern, Spelling spelling,
                             ExpressionId any, const std::string& where) {
  std::vector<ExpressionId> parts;
  const ExpressionId some = expressions.Repeat(any, 0);
  for (const Piece& piece : RegexReader(expressions, pattern, spelling, where).Read()) {
    const ExpressionId ends[] = {piece.from_start ? Expressions::kEmpty : some, piece.expression,
                                 piece.to_end ? Expressions::kEmpty : some};
    parts.push_back(expressions.Concat(ends));
  }
  return expressions.Union(std::move(parts));
}

}  // namespace retort
