// SPDX-License-Identifier: Apache-2.0
#include "grammar/json_terms.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "grammar/characters.h"

namespace retort {
namespace {

// So that numbers stay within what a double holds, together with an exponent of two digits.
constexpr uint32_t kMostDigits = 200;

ExpressionId AnyCharacter(Expressions& e, ExpressionId written) {
  const ExpressionId hex = e.Union({e.Range('0', '9'), e.Range('a', 'f'), e.Range('A', 'F')});
  const auto literal = [&](std::string_view text) { return e.Literal(text); };
  const ExpressionId d = e.Union({literal("d"), literal("D")});
  const ExpressionId low_digit = e.Range('0', '7');
  const ExpressionId not_d = e.Union({e.Range('0', '9'), e.Range('a', 'c'), e.Range('A', 'C'),
                                      e.Range('e', 'f'), e.Range('E', 'F')});
  const ExpressionId three = e.Repeat(hex, 3, 3), two = e.Repeat(hex, 2, 2);
  const ExpressionId one_unit =
      e.Union({e.Concat(not_d, three), e.Concat(d, e.Concat(low_digit, two))});
  // Surrogates come in pairs: D800 to DBFF, then DC00 to DFFF.
  const ExpressionId high = e.Union({e.Range('8', '9'), e.Range('a', 'b'), e.Range('A', 'B')});
  const ExpressionId low = e.Union({e.Range('c', 'f'), e.Range('C', 'F')});
  const ExpressionId pair =
      e.Concat(std::vector<ExpressionId>{d, high, two, literal("\\u"), d, low, two});
  const ExpressionId unicode = e.Concat(literal("\\u"), e.Union({one_unit, pair}));
  ByteSet letters;
  for (const char c : std::string_view("\"\\/bfnrt")) letters.set(static_cast<uint8_t>(c));
  return e.Union({written, e.Concat(literal("\\"), e.Bytes(letters)), unicode});
}

std::string Digit(char c) { return std::string(1, c); }

}  // namespace

std::optional<Decimal> Decimal::Of(const Json& number) {
  if (!number.is_number()) return std::nullopt;
  std::string text = DumpJson(number);
  Decimal decimal;
  decimal.negative = text[0] == '-';
  if (decimal.negative) text.erase(0, 1);
  int64_t exponent = 0;
  if (const size_t e = text.find('e'); e != std::string::npos) {
    exponent = std::stoll(text.substr(e + 1));
    text.resize(e);
  }
  if (exponent < -400 || exponent > 400) return std::nullopt;
  const size_t point = std::min(text.find('.'), text.size());
  std::string whole = text.substr(0, point),
              fraction = point < text.size() ? text.substr(point + 1) : "";
  for (; exponent > 0; --exponent) {
    whole += fraction.empty() ? '0' : fraction[0];
    if (!fraction.empty()) fraction.erase(0, 1);
  }
  for (; exponent < 0; ++exponent) {
    fraction.insert(fraction.begin(), whole.empty() ? '0' : whole.back());
    if (!whole.empty()) whole.pop_back();
  }
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  decimal.whole = whole.empty() ? "0" : whole;
  decimal.fraction = fraction;
  if (decimal.IsZero()) decimal.negative = false;
  return decimal;
}

JsonTerms::JsonTerms(GrammarParts& parts, JsonSpace space, StringForm form)
    : e_(parts.expressions), p_(parts.productions), form_(std::move(form)) {
  ByteSet blanks;
  for (const char c : std::string_view(" \t\n\r")) blanks.set(static_cast<uint8_t>(c));
  space_ = space == JsonSpace::kFlexible ? e_.Repeat(e_.Bytes(blanks), 0, kMostSpace)
                                         : Expressions::kEmpty;
  character_ = OneOf(e_, AllCharacters(), form_.spelling);
  const bool json = form_.spelling == Spelling::kJson;
  any_ = json ? AnyCharacter(e_, character_) : character_;
  if (json) parts.free_items = {character_, any_};
  digit_ = e_.Range('0', '9');
  nonzero_ = e_.Range('1', '9');
  whole_ = e_.Union({Text("0"), e_.Concat(nonzero_, Digits(0, kMostDigits))});
  integer_ = e_.Concat(e_.Optional(Text("-")), whole_);
  const char* behind = space == JsonSpace::kSpaced ? " " : "";
  const auto separator = [&](const char* mark) {
    return p_.Terminal(
        e_.Concat(std::vector<ExpressionId>{space_, Text(mark), Text(behind), space_}));
  };
  comma_ = separator(",");
  colon_ = separator(":");
}

ExpressionId JsonTerms::Quoted(ExpressionId content) {
  if (form_.spelling == Spelling::kJson)
    content = e_.Concat(Text("\""), e_.Concat(content, Text("\"")));
  return form_.without.empty() ? content : e_.Both({content, e_.Without(Text(form_.without))});
}

std::string JsonTerms::QuotedText(std::string_view text) const {
  const char* quote = form_.spelling == Spelling::kJson ? "\"" : "";
  return Cat(quote, Spell(text, form_.spelling), quote);
}

ExpressionId JsonTerms::StringLiteral(std::string_view text) {
  const std::string quoted = QuotedText(text);
  const bool held = form_.without.empty() || quoted.find(form_.without) == std::string::npos;
  return held ? Text(quoted) : Expressions::kNothing;
}

ExpressionId JsonTerms::Digits(uint32_t least, uint32_t most) {
  return e_.Repeat(digit_, least, most);
}

ExpressionId JsonTerms::Number() {
  ByteSet e, sign;
  e.set('e'), e.set('E'), sign.set('+'), sign.set('-');
  const ExpressionId exponent =
      e_.Concat(std::vector<ExpressionId>{e_.Bytes(e), e_.Optional(e_.Bytes(sign)), Digits(1, 2)});
  const ExpressionId fraction = e_.Concat(Text("."), Digits(1, kMostDigits));
  return e_.Concat(
      std::vector<ExpressionId>{integer_, e_.Optional(fraction), e_.Optional(exponent)});
}

ExpressionId JsonTerms::Decimals(uint32_t most) {
  if (most == 0) return integer_;
  return e_.Concat(integer_, e_.Optional(e_.Concat(Text("."), Digits(1, most))));
}

// With more decimals, rounding to a double could carry a number across its bound.
constexpr uint32_t kMostDecimals = 9;

ExpressionId JsonTerms::Plain() { return Decimals(kMostDecimals); }

ExpressionId JsonTerms::WithFraction() {
  const ExpressionId zeros = e_.Repeat(Text("0"), 0);
  const ExpressionId some =
      e_.Concat(std::vector<ExpressionId>{zeros, nonzero_, e_.Repeat(digit_, 0)});
  return e_.Concat(
      std::vector<ExpressionId>{integer_, Text("."), e_.Both({some, Digits(1, kMostDecimals)})});
}

ExpressionId JsonTerms::AnySize() {
  return e_.Concat(whole_, e_.Optional(e_.Concat(Text("."), Digits(1, kMostDecimals))));
}

// Whole numbers greater than `whole`: longer ones, or those of its length that are greater in the
// first digit in which they differ.
ExpressionId JsonTerms::WholeAbove(const std::string& whole) {
  const auto size = static_cast<uint32_t>(whole.size());
  std::vector<ExpressionId> parts;
  if (size <= kMostDigits) parts.push_back(e_.Concat(nonzero_, Digits(size, kMostDigits)));
  for (uint32_t i = 0; i < size; ++i) {
    if (whole[i] == '9') continue;
    const ExpressionId greater = e_.Range(static_cast<uint8_t>(whole[i] + 1), '9');
    parts.push_back(e_.Concat(std::vector<ExpressionId>{Text(whole.substr(0, i)), greater,
                                                        Digits(size - i - 1, size - i - 1)}));
  }
  return e_.Union(std::move(parts));
}

ExpressionId JsonTerms::WholeBelow(const std::string& whole) {
  const auto size = static_cast<uint32_t>(whole.size());
  std::vector<ExpressionId> parts;
  if (whole != "0") parts.push_back(Text("0"));
  if (size > 1) parts.push_back(e_.Concat(nonzero_, Digits(0, size - 2)));
  for (uint32_t i = 0; i < size; ++i) {
    const char lowest = i == 0 ? '1' : '0';
    if (whole[i] <= lowest) continue;
    const ExpressionId less =
        e_.Range(static_cast<uint8_t>(lowest), static_cast<uint8_t>(whole[i] - 1));
    parts.push_back(e_.Concat(std::vector<ExpressionId>{Text(whole.substr(0, i)), less,
                                                        Digits(size - i - 1, size - i - 1)}));
  }
  return e_.Union(std::move(parts));
}

// Digits behind a point, also none, whose number is at least, or more than, that of `fraction`.
ExpressionId JsonTerms::FractionFrom(std::string_view fraction, bool strictly) {
  const ExpressionId any = e_.Repeat(digit_, 0);
  if (fraction.empty()) {
    if (!strictly) return any;
    return e_.Concat(std::vector<ExpressionId>{e_.Repeat(Text("0"), 0), nonzero_, any});
  }
  const ExpressionId same =
      e_.Concat(Text(Digit(fraction[0])), FractionFrom(fraction.substr(1), strictly));
  if (fraction[0] == '9') return same;
  return e_.Union({same, e_.Concat(e_.Range(static_cast<uint8_t>(fraction[0] + 1), '9'), any)});
}

ExpressionId JsonTerms::FractionUpTo(std::string_view fraction, bool strictly) {
  const ExpressionId any = e_.Repeat(digit_, 0);
  if (fraction.empty()) return strictly ? Expressions::kNothing : e_.Repeat(Text("0"), 0);
  // Fewer digits stand for zeros, which are less: `fraction` has no zeros at its end.
  std::vector<ExpressionId> parts = {
      Expressions::kEmpty,
      e_.Concat(Text(Digit(fraction[0])), FractionUpTo(fraction.substr(1), strictly))};
  if (fraction[0] > '0')
    parts.push_back(e_.Concat(e_.Range('0', static_cast<uint8_t>(fraction[0] - 1)), any));
  return e_.Union(std::move(parts));
}

// Numbers without a sign, from a bound on or up to it.
ExpressionId JsonTerms::SizeFrom(const Decimal& bound, bool strictly) {
  return Sized(WholeAbove(bound.whole), bound.whole, FractionFrom(bound.fraction, strictly));
}

ExpressionId JsonTerms::SizeUpTo(const Decimal& bound, bool strictly) {
  return Sized(WholeBelow(bound.whole), bound.whole, FractionUpTo(bound.fraction, strictly));
}

ExpressionId JsonTerms::Sized(ExpressionId within, const std::string& whole, ExpressionId digits) {
  const ExpressionId some = e_.Both({digits, e_.Repeat(digit_, 1)});
  std::vector<ExpressionId> same = {e_.Concat(Text("."), some)};
  if (e_.Nullable(digits)) same.push_back(Expressions::kEmpty);
  const ExpressionId fraction = e_.Optional(e_.Concat(Text("."), e_.Repeat(digit_, 1)));
  return e_.Union({e_.Concat(within, fraction), e_.Concat(Text(whole), e_.Union(std::move(same)))});
}

ExpressionId JsonTerms::Within(const NumberBounds& bounds) {
  const auto minus = [&](ExpressionId size) { return e_.Concat(Text("-"), size); };
  std::vector<ExpressionId> parts = {Plain()};
  if (bounds.least) {
    const Decimal& least = *bounds.least;
    parts.push_back(least.negative ? e_.Union({AnySize(), minus(SizeUpTo(least, bounds.above))})
                                   : SizeFrom(least, bounds.above));
  }
  if (bounds.most) {
    const Decimal& most = *bounds.most;
    const Decimal zero;
    parts.push_back(most.negative
                        ? minus(SizeFrom(most, bounds.below))
                        : e_.Union({minus(SizeFrom(zero, true)), SizeUpTo(most, bounds.below)}));
  }
  return e_.Both(std::move(parts));
}

ExpressionId JsonTerms::Spellings(const Decimal& number) {
  const ExpressionId zeros = e_.Repeat(Text("0"), number.fraction.empty() ? 1 : 0);
  const ExpressionId sign =
      number.IsZero() ? e_.Optional(Text("-")) : Text(number.negative ? "-" : "");
  const ExpressionId fraction =
      e_.Concat(std::vector<ExpressionId>{Text("."), Text(number.fraction), zeros});
  return e_.Concat(std::vector<ExpressionId>{
      sign, Text(number.whole), number.fraction.empty() ? e_.Optional(fraction) : fraction});
}

ExpressionId JsonTerms::MultiplesOf(uint32_t divisor) {
  return e_.Concat(e_.Optional(Text("-")), e_.Both({whole_, e_.Multiples(divisor)}));
}

NodeId JsonTerms::Open(char bracket) {
  return p_.Terminal(e_.Concat(Text(Digit(bracket)), space_));
}

NodeId JsonTerms::Close(char bracket) {
  return p_.Terminal(e_.Concat(space_, Text(Digit(bracket))));
}

NodeId JsonTerms::Value(const Json& value) {
  if (value.is_string()) return p_.Terminal(StringLiteral(value.get_ref<const std::string&>()));
  if (!value.is_structured()) return p_.Terminal(Text(DumpJson(value)));
  const bool object = value.is_object();
  std::vector<NodeId> parts = {Open(object ? '{' : '[')};
  for (const auto& [key, member] : value.items()) {
    if (parts.size() > 1) parts.push_back(comma_);
    if (object) {
      parts.push_back(p_.Terminal(StringLiteral(key)));
      parts.push_back(colon_);
    }
    parts.push_back(Value(member));
  }
  parts.push_back(Close(object ? '}' : ']'));
  return p_.Sequence(parts);
}

NodeId JsonTerms::Anything() {
  if (anything_ != Productions::kNothing) return anything_;
  anything_ = p_.Rule();
  const NodeId string = p_.Terminal(Quoted(e_.Repeat(any_, 0)));
  const auto list = [&](char open, NodeId item, char close) {
    const NodeId more = p_.Repeat(p_.Sequence(comma_, item), 0, Productions::kNoLimit);
    return p_.Sequence(std::vector<NodeId>{
        Open(open),
        p_.Choice({Close(close), p_.Sequence(std::vector<NodeId>{item, more, Close(close)})})});
  };
  const NodeId key = p_.Terminal(Quoted(e_.Repeat(character_, 0)));
  const NodeId member = p_.Sequence(std::vector<NodeId>{key, colon_, anything_});
  const ExpressionId words = e_.AnyOf({"null", "true", "false"});
  p_.Define(anything_, p_.Choice({p_.Terminal(words), p_.Terminal(Number()), string,
                                  list('[', anything_, ']'), list('{', member, '}')}));
  return anything_;
}

}  // namespace retort
