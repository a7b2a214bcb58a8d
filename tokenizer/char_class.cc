// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/char_class.h"

#include <vector>

#include "tokenizer/unicode.h"

namespace retort {
namespace {

constexpr char32_t kCodes = 0x110000;

// Two bits per code point.
class Table {
 public:
  Table() : bits_(kCodes / 4) {
    Mark("L", CharClass::kLetter);
    Mark("N", CharClass::kNumber);
    Mark("White_Space", CharClass::kSpace);
  }
  CharClass Of(char32_t code) const {
    return static_cast<CharClass>(bits_[code / 4] >> (code % 4 * 2) & 3);
  }

 private:
  void Mark(const char* property, CharClass value) {
    for (const CodeRange range : PropertySet(property)->ranges()) {
      for (char32_t code = range.first; code <= range.last; ++code)
        bits_[code / 4] |= static_cast<uint8_t>(static_cast<int>(value) << (code % 4 * 2));
    }
  }

  std::vector<uint8_t> bits_;
};

}  // namespace

CharClass ClassBeyondAscii(char32_t code) {
  static const Table table;
  return table.Of(code);
}

}  // namespace retort
