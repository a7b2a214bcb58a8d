// SPDX-License-Identifier: Apache-2.0
// Follows one JSON value that arrives byte by byte: where its members stand, and whether it is
// JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace retort {

class JsonFollower {
 public:
  enum class Event : uint8_t {
    kNone,
    kKeyEnd,      // the byte ends the text of a key of the watched object
    kValueBegin,  // the byte begins the value of a member of the watched object
    kValueEnd,    // the byte ends such a value, if that is a text, a list or an object
    kDone,        // the byte ends the whole value
    kBroken       // the text is no JSON, or nests deeper than ParseJson takes
  };

  // The value must be an object or a list. Nothing follows kDone and kBroken.
  Event Push(char c);
  // The watched object is the one at this depth; 1, the outermost, at first.
  void Watch(size_t depth) { watched_ = depth; }
  size_t depth() const { return open_.size(); }

 private:
  enum class At : uint8_t {
    kValue,
    kFirstItem,  // of a list, or its end
    kFirstKey,   // of an object, or its end
    kKey,
    kColon,
    kAfter,  // a value: a comma, or an end
    kString,
    kEscape,
    kUnicode,
    kNumber,
    kWord
  };
  enum class Digits : uint8_t { kMinus, kZero, kWhole, kPoint, kFraction, kE, kSign, kExponent };

  Event Begin(char c);
  Event After(char c);
  Event Open(char c);
  Event Close();
  Event InString(char c);
  Event InNumber(char c);
  Event InWord(char c);
  bool NumberMayEnd() const;
  bool Watched() const { return open_.size() == watched_; }

  At at_ = At::kValue;
  std::vector<bool> open_;  // what encloses this place: an object, or a list
  bool key_ = false;        // the string is a key
  size_t watched_ = 1;
  int hex_ = 0;
  Digits digits_ = Digits::kMinus;
  const char* word_ = nullptr;  // what is left of true, false or null
};

}  // namespace retort
