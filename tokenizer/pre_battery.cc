// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/pre_battery.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

// One or two of each kind: letters of all cases, marks, numbers, spaces, punctuation, symbols, the
// letters of contractions, and scripts that expressions name.
constexpr const char* kKinds[] = {
    "a",      "B",      "s",      "T",      "l",          "v",      "\u01C5", "\u02B0", "\u00E9",
    "\u0416", "\u05D0", "\u0301", "\u0903", "1",          "7",      "\u0663", "\u00BD", " ",
    "\n",     "\r",     "\t",     "\u00A0", "\u3000",     "'",      "\u2019", "-",      "/",
    "_",      ".",      "(",      "$",      "+",          "`",      "\u20AC", "\u3002", "\u4E00",
    "\u3042", "\u30AB", "\uAC00", "\u017F", "\U0001F600", "\u200D", "\x01"};
constexpr size_t kLongTexts = 3000, kLongest = 24;
constexpr size_t kMaxEnds = 2000;

class Battery {
 public:
  Battery(const std::vector<SplitSpec>& one, const std::vector<SplitSpec>& other)
      : one_(one, "pre-tokenizer"), other_(other, "pre-tokenizer") {}

  bool Alike(const std::string& text) {
    TextBudget budget(text.size());
    one_.Apply(text, &scratch_, &budget, &words_);
    other_.Apply(text, &scratch_, &budget, &other_words_);
    return std::ranges::equal(words_, other_words_, [](const auto& a, const auto& b) {
      return a.begin == b.begin && a.end == b.end;
    });
  }

 private:
  PreTokenizer one_, other_;
  Regex::Scratch scratch_;
  std::vector<PreTokenizer::Range> words_, other_words_;
};

// The characters beyond ASCII that an expression names, and their neighbours.
void AddEnds(const std::vector<SplitSpec>& splits, std::vector<std::string>* texts) {
  for (const SplitSpec& split : splits) {
    for (size_t pos = 0; pos < split.pattern.size();) {
      const Utf8Char c = DecodeUtf8(split.pattern, pos);
      pos += static_cast<size_t>(c.size);
      if (c.code < 0x80 || texts->size() > kMaxEnds) continue;
      for (char32_t code = c.code - 1; code <= c.code + 1; ++code) {
        if (code >= 0xD800 && code <= 0xDFFF) continue;
        std::string text = "a 1";
        AppendUtf8(code, &text);
        AppendUtf8(code, &text);
        texts->push_back(text + " b.");
        AppendUtf8(0x4E01, &text);
        texts->push_back(std::move(text));
      }
    }
  }
}

bool AllShortOnesAlike(Battery* battery) {
  for (const char* a : kKinds) {
    for (const char* b : kKinds) {
      for (const char* c : kKinds) {
        if (!battery->Alike(Cat(a, b, c))) return false;
      }
    }
  }
  return true;
}

bool LongOnesAlike(Battery* battery) {
  uint64_t state = 1;
  const auto next = [&](size_t below) {  // the same texts every time
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % below;
  };
  for (size_t i = 0; i < kLongTexts; ++i) {
    std::string text;
    const size_t kinds = 2 + next(6);
    std::vector<const char*> alphabet;
    for (size_t k = 0; k < kinds; ++k) alphabet.push_back(kKinds[next(std::size(kKinds))]);
    for (size_t size = 4 + next(kLongest); size > 0; --size) text += alphabet[next(kinds)];
    if (!battery->Alike(text)) return false;
  }
  return true;
}

}  // namespace

bool SplitAlike(const std::vector<SplitSpec>& one, const std::vector<SplitSpec>& other) {
  try {
    Battery battery(one, other);
    std::vector<std::string> ends = {"It's 12345 DON'T\r\n\r\n  we'LL\tx...  "};
    AddEnds(one, &ends);
    AddEnds(other, &ends);
    return std::ranges::all_of(ends,
                               [&](const std::string& text) { return battery.Alike(text); }) &&
           AllShortOnesAlike(&battery) && LongOnesAlike(&battery);
  } catch (const Error&) {
    return false;  // an expression that takes too long on a text is none of ours
  }
}

}  // namespace retort
