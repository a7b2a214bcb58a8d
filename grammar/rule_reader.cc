// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/ascii.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/text.h"
#include "grammar/rules.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

bool IsWordByte(char c) { return IsLetterOrDigit(c) || c == '_'; }

}  // namespace

RuleReader::RuleReader(std::string_view text, const std::string& where, Expressions& expressions)
    : text_(text), where_(where), e_(expressions) {
  if (text.size() > kMostBytes)
    throw InputError(where, ": a grammar may have at most ", kMostBytes, " bytes");
  if (ValidUtf8End(text, 0) != text.size()) Refuse("the grammar is not UTF-8");
}

void RuleReader::Refuse(std::string_view what) const {
  const auto read = text_.substr(0, std::min(at_, text_.size()));
  throw InputError(where_, ":", 1 + std::ranges::count(read, '\n'), ": ", what);
}

bool RuleReader::Take(std::string_view expected) {
  if (!IsNext(expected)) return false;
  at_ += expected.size();
  return true;
}

std::string RuleReader::Name(std::string_view more_bytes) {
  const size_t begin = at_;
  while (!AtEnd() && (IsWordByte(Next()) || more_bytes.find(Next()) != more_bytes.npos)) ++at_;
  if (at_ == begin) Refuse("expected the name of a rule");
  return std::string(text_.substr(begin, at_ - begin));
}

char32_t RuleReader::Character(std::string_view within, std::string_view plain) {
  if (AtEnd() || Next() == '\n') Refuse(Cat(within, " does not end on its line"));
  if (Take("\\")) return Escaped(plain);
  const Utf8Char c = DecodeUtf8(text_, at_);
  at_ += static_cast<size_t>(c.size);
  return c.code;
}

char32_t RuleReader::Escaped(std::string_view plain) {
  if (AtEnd()) Refuse("a backslash ends the grammar");
  const char c = text_[at_++];
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'x':
      return Hex(2);
    case 'u':
      return Hex(4);
    case 'U':
      return Hex(8);
    default:
      if (plain.find(c) == plain.npos)
        Refuse(Cat("the escape ", Quoted(std::string("\\") + c), " is not known"));
      return static_cast<char32_t>(c);
  }
}

char32_t RuleReader::Hex(int digits) {
  char32_t code = 0;
  for (int i = 0; i < digits; ++i, ++at_) {
    const int digit = AtEnd() ? -1 : HexDigit(Next());
    if (digit < 0) Refuse("an escape lacks digits");
    code = code * 16 + static_cast<char32_t>(digit);
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) Refuse("an escape names no character");
  return code;
}

uint32_t RuleReader::Number() {
  uint64_t number = 0;
  const size_t begin = at_;
  for (; IsDigit(Next()); ++at_)
    number = std::min<uint64_t>(number * 10 + static_cast<uint64_t>(Next() - '0'), kMostCount + 1);
  if (at_ == begin || number > kMostCount) Refuse(Cat("expected a count up to ", kMostCount));
  return static_cast<uint32_t>(number);
}

void RuleReader::AddPart(RuleTerm& whole, RuleTerm part) const {
  whole.depth = std::max(whole.depth, part.depth + 1);
  if (whole.depth > kMostDepth) Refuse("the rule nests too deeply");
  whole.parts.push_back(std::move(part));
}

RuleTerm RuleReader::Repeat(RuleTerm term, uint32_t least, uint32_t most) const {
  RuleTerm repeat{Kind::kRepeat};
  repeat.least = least, repeat.most = most;
  AddPart(repeat, std::move(term));
  return repeat;
}

void RuleReader::OpenGroup() {
  if (++groups_ > kMostGroups) Refuse("the rule nests too deeply");
}

}  // namespace retort
