// SPDX-License-Identifier: Apache-2.0
#include "runner/answer/json_follower.h"

#include "base/ascii.h"
#include "base/hex.h"

namespace retort {
namespace {

constexpr size_t kDeepest = 256;  // as ParseJson

bool IsJsonSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace

JsonFollower::Event JsonFollower::Push(char c) {
  switch (at_) {
    case At::kString:
    case At::kEscape:
    case At::kUnicode:
      return InString(c);
    case At::kNumber:
      return InNumber(c);
    case At::kWord:
      return InWord(c);
    default:
      break;
  }
  if (IsJsonSpace(c)) return Event::kNone;
  switch (at_) {
    case At::kFirstKey:
      if (c == '}') return Close();
      [[fallthrough]];
    case At::kKey:
      if (c != '"') return Event::kBroken;
      key_ = true;
      at_ = At::kString;
      return Event::kNone;
    case At::kColon:
      if (c != ':') return Event::kBroken;
      at_ = At::kValue;
      return Event::kNone;
    case At::kFirstItem:
      if (c == ']') return Close();
      return Begin(c);
    case At::kValue:
      return Begin(c);
    default:
      return After(c);
  }
}

JsonFollower::Event JsonFollower::Begin(char c) {
  const Event begun =
      !open_.empty() && open_.back() && Watched() ? Event::kValueBegin : Event::kNone;
  if (c == '{' || c == '[') return Open(c) == Event::kBroken ? Event::kBroken : begun;
  if (open_.empty()) return Event::kBroken;
  if (c == '"') {
    key_ = false;
    at_ = At::kString;
  } else if (c == '-' || IsDigit(c)) {
    digits_ = c == '-' ? Digits::kMinus : c == '0' ? Digits::kZero : Digits::kWhole;
    at_ = At::kNumber;
  } else if (c == 't' || c == 'f' || c == 'n') {
    word_ = c == 't' ? "rue" : c == 'f' ? "alse" : "ull";
    at_ = At::kWord;
  } else {
    return Event::kBroken;
  }
  return begun;
}

JsonFollower::Event JsonFollower::Open(char c) {
  if (open_.size() == kDeepest) return Event::kBroken;
  open_.push_back(c == '{');
  at_ = c == '{' ? At::kFirstKey : At::kFirstItem;
  return Event::kNone;
}

JsonFollower::Event JsonFollower::Close() {
  open_.pop_back();
  at_ = At::kAfter;
  if (open_.empty()) return Event::kDone;
  return open_.back() && Watched() ? Event::kValueEnd : Event::kNone;
}

JsonFollower::Event JsonFollower::After(char c) {
  if (c == ',') {
    at_ = open_.back() ? At::kKey : At::kValue;
    return Event::kNone;
  }
  return c == (open_.back() ? '}' : ']') ? Close() : Event::kBroken;
}

JsonFollower::Event JsonFollower::InString(char c) {
  if (at_ == At::kEscape) {
    hex_ = 0;
    at_ = c == 'u' ? At::kUnicode : At::kString;
    const bool known = c == 'u' || c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' ||
                       c == 'n' || c == 'r' || c == 't';
    return known ? Event::kNone : Event::kBroken;
  }
  if (at_ == At::kUnicode) {
    if (HexDigit(c) < 0) return Event::kBroken;
    if (++hex_ == 4) at_ = At::kString;
    return Event::kNone;
  }
  if (static_cast<unsigned char>(c) < 0x20) return Event::kBroken;
  if (c == '\\') at_ = At::kEscape;
  if (c != '"') return Event::kNone;
  at_ = key_ ? At::kColon : At::kAfter;
  if (!open_.back() || !Watched()) return Event::kNone;
  return key_ ? Event::kKeyEnd : Event::kValueEnd;
}

bool JsonFollower::NumberMayEnd() const {
  return digits_ == Digits::kZero || digits_ == Digits::kWhole || digits_ == Digits::kFraction ||
         digits_ == Digits::kExponent;
}

JsonFollower::Event JsonFollower::InNumber(char c) {
  using D = Digits;
  const bool whole = digits_ == D::kZero || digits_ == D::kWhole;
  if (IsDigit(c) && digits_ != D::kZero) {
    if (digits_ == D::kMinus) digits_ = c == '0' ? D::kZero : D::kWhole;
    if (digits_ == D::kPoint) digits_ = D::kFraction;
    if (digits_ == D::kE || digits_ == D::kSign) digits_ = D::kExponent;
  } else if (c == '.' && whole) {
    digits_ = D::kPoint;
  } else if ((c == 'e' || c == 'E') && (whole || digits_ == D::kFraction)) {
    digits_ = D::kE;
  } else if ((c == '+' || c == '-') && digits_ == D::kE) {
    digits_ = D::kSign;
  } else {
    if (!NumberMayEnd()) return Event::kBroken;
    at_ = At::kAfter;
    return IsJsonSpace(c) ? Event::kNone : After(c);
  }
  return Event::kNone;
}

JsonFollower::Event JsonFollower::InWord(char c) {
  if (c != *word_) return Event::kBroken;
  if (*++word_ == '\0') at_ = At::kAfter;
  return Event::kNone;
}

}  // namespace retort
