// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/char_class.h"

#include <string>
#include <vector>

#include "tokenizer/regex.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

constexpr char32_t kCodes = 0x110000;

// Two bits per code point.
class Table {
 public:
  Table() : bits_(kCodes / 4) {
    std::string all;  // characters
    all.reserve(4 * kCodes);
    for (char32_t code = 0; code < kCodes; ++code) {
      if (code < 0xD800 || code > 0xDFFF) AppendUtf8(code, &all);
    }
    Mark(R"(\p{L}+)", CharClass::kLetter, all);
    Mark(R"(\p{N}+)", CharClass::kNumber, all);
    Mark(R"(\s+)", CharClass::kSpace, all);
  }
  CharClass Of(char32_t code) const {
    return static_cast<CharClass>(bits_[code / 4] >> (code % 4 * 2) & 3);
  }

 private:
  void Mark(const char* pattern, CharClass value, const std::string& all) {
    const Regex regex(pattern, "characters");
    Regex::Scratch scratch;
    WorkBudget budget = Regex::BudgetFor(all.size());
    Regex::Match match{0, 0};
    while (regex.Find(all, match.end, &scratch, &budget, &match)) {
      for (size_t pos = match.begin; pos < match.end;) {
        const Utf8Char c = DecodeUtf8(all, pos);
        bits_[c.code / 4] |= static_cast<uint8_t>(static_cast<int>(value) << (c.code % 4 * 2));
        pos += static_cast<size_t>(c.size);
      }
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
