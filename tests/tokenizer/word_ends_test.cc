// SPDX-License-Identifier: Apache-2.0
// The hand-written word splitters against the regular expressions that they implement (by PCRE2).
#include "tokenizer/word_ends.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/shared_data.h"
#include "tokenizer/char_class.h"
#include "tokenizer/utf8.h"

namespace retort {
namespace {

using Steps = std::vector<SplitSpec>;

std::string Utf8(char32_t code) {
  std::string text;
  AppendUtf8(code, &text);
  return text;
}

// The words with a bar after each, as the steps give them.
class Cutter {
 public:
  explicit Cutter(const Steps& steps) : steps_(steps, "test") {}
  std::string Cut(std::string_view text) {
    TextBudget budget(text.size());
    steps_.Apply(text, &scratch_, &budget, &words_);
    std::string out;
    for (const PreTokenizer::Range& r : words_) {
      out.append(text.substr(r.begin, r.end - r.begin)).push_back('|');
    }
    return out;
  }

 private:
  PreTokenizer steps_;
  Regex::Scratch scratch_;
  std::vector<PreTokenizer::Range> words_;
};

struct Pattern {
  const char* name;
  std::vector<const char*> patterns;
};

class WordEnds : public testing::TestWithParam<Pattern> {
 protected:
  static Steps StepsOf(const Pattern& c, bool in_brackets) {
    Steps steps;
    for (const char* pattern : c.patterns) {
      steps.push_back({in_brackets ? Cat("(?:", pattern, ")") : pattern});
    }
    return steps;
  }
  WordEnds() {
    EXPECT_NE(WordEndOf(StepsOf(GetParam(), false)), nullptr);
    EXPECT_EQ(WordEndOf(StepsOf(GetParam(), true)), nullptr);
  }
  Cutter by_hand_{StepsOf(GetParam(), false)};
  Cutter by_pcre_{StepsOf(GetParam(), true)};  // an expression that nobody knows
};

TEST_P(WordEnds, AreTheExpressionsOnMadeUpTexts) {
  const std::vector<std::string> parts = {" ",
                                          " ",
                                          "\n",
                                          "\r",
                                          "\t",
                                          "\v",
                                          "'",
                                          "s",
                                          "S",
                                          "re",
                                          "VE",
                                          "'ll",
                                          "'D",
                                          "l",
                                          "a",
                                          "Z",
                                          "b",
                                          "1",
                                          "23",
                                          "9",
                                          ".",
                                          "!?",
                                          "_",
                                          "\"",
                                          std::string(1, '\0'),
                                          "\xC5\xBF",      // long s
                                          "\xE2\x84\xAA",  // Kelvin's K
                                          "\xC2\x85",      // next line
                                          "\xC2\xA0",
                                          "\xE3\x80\x80",
                                          "\xE2\x80\xA8",  // spaces
                                          "\xE1\xA0\x8E",
                                          "\xE2\x80\x8B",  // spaces once and never
                                          "\xD9\xA3",
                                          "\xE2\x85\xA7",
                                          "\xC2\xBD",  // numbers: a digit, a numeral, a half
                                          "\xC3\xA9",
                                          "\xE4\xBD\xA0",
                                          "\xF0\x9F\x98\x80",
                                          "\xCC\x81",
                                          "\xF0\x90\x90\x80",
                                          "\xFF",
                                          "\xE2\x96",
                                          "\xED\xA0\x80",
                                          "\xF4\x90\x80\x80"};  // no UTF-8
  uint32_t state = 1;
  const auto next = [&](size_t below) {
    return ((state = state * 1664525 + 1013904223) >> 8) % below;
  };
  for (int round = 0; round < 40000; ++round) {
    std::string text;
    const size_t kinds = 2 + next(parts.size() - 1), first = next(parts.size());
    for (size_t k = next(16) + 1; k > 0; --k) {
      text += parts[(first + next(kinds)) % parts.size()];
    }
    ASSERT_EQ(by_hand_.Cut(text), by_pcre_.Cut(text)) << testing::PrintToString(text);
  }
}

TEST_P(WordEnds, AreTheExpressionsAroundEveryCharacter) {
  for (char32_t code = 1; code < 0x110000; ++code) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;
    // Planes that hold nothing yet: a few of each row.
    if (code >= 0x33480 && code % 0x100 > 3 && code >> 16 != 0xE) continue;
    const std::string c = Utf8(code);
    const std::string text = Cat("a", c, "1", c, c, "! ", c, "a \n", c);
    ASSERT_EQ(by_hand_.Cut(text), by_pcre_.Cut(text)) << static_cast<uint32_t>(code);
  }
}

TEST_P(WordEnds, AreTheExpressionsOnRealTexts) {
  RETORT_NEEDS(data, "real/datasets");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data)) {
    const Path& path = entry.path();
    if (path.extension() != ".txt" && path.extension() != ".jsonl") continue;
    const std::string text = ReadText(path);
    ASSERT_TRUE(by_hand_.Cut(text) == by_pcre_.Cut(text)) << path;
  }
}

INSTANTIATE_TEST_SUITE_P(All, WordEnds,
                         testing::Values(Pattern{"gpt2", {kGpt2Words}},
                                         Pattern{"llama3", {kLlama3Words}},
                                         Pattern{"qwen2", {kQwen2Words}},
                                         Pattern{"smollm", {kEachDigit, kGpt2Words}}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(WordEndOf, KnowsWholePatternsOnly) {
  EXPECT_EQ(WordEndOf({}), nullptr);
  EXPECT_EQ(WordEndOf({{kEachDigit}}), nullptr);
  EXPECT_EQ(WordEndOf({{kGpt2Words}, {kGpt2Words}}), nullptr);
  SplitSpec split{kGpt2Words};
  split.behavior = SplitSpec::Behavior::kRemoved;
  EXPECT_EQ(WordEndOf({split}), nullptr);
  split = {kGpt2Words};
  split.invert = true;
  EXPECT_EQ(WordEndOf({split}), nullptr);
  split = {kGpt2Words};
  split.literal = true;
  EXPECT_EQ(WordEndOf({split}), nullptr);
}

TEST(CharClass, IsWhatUnicodeSays) {
  EXPECT_EQ(ClassOf('a'), CharClass::kLetter);
  EXPECT_EQ(ClassOf('7'), CharClass::kNumber);
  EXPECT_EQ(ClassOf('\v'), CharClass::kSpace);
  EXPECT_EQ(ClassOf('_'), CharClass::kOther);
  EXPECT_EQ(ClassOf(0x17F), CharClass::kLetter);
  EXPECT_EQ(ClassOf(0xBD), CharClass::kNumber);
  EXPECT_EQ(ClassOf(0x3000), CharClass::kSpace);
  EXPECT_EQ(ClassOf(0x180E), CharClass::kOther);
  EXPECT_EQ(ClassOf(0x301), CharClass::kOther);
  EXPECT_EQ(ClassOf(0x10FFFF), CharClass::kOther);
}

TEST(ValidUtf8, EndsAtTheFirstByteThatBeginsNoCharacter) {
  for (size_t at = 0; at < 20; ++at) {
    for (const char* bad :
         {"\xFF", "\x80", "\xC0\x80", "\xE2\x96", "\xED\xA0\x80", "\xF0\x9F\x98"}) {
      const std::string text = std::string(at, 'a') + bad;
      EXPECT_EQ(ValidUtf8End(text, 0), at) << testing::PrintToString(text);
    }
    const std::string fine = std::string(at, 'a') + "\xC3\xA9" + std::string(at, 'b');
    EXPECT_EQ(ValidUtf8End(fine, at / 2), fine.size());
  }
}

}  // namespace
}  // namespace retort
