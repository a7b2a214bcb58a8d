// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/shell_word.h"

namespace retort {
namespace {

TEST(OneLine, KeepsText) {
  for (const std::string text : {"", "a b", "größe 東京 😀", "C:\\n \\x1b", "'quoted'"})
    EXPECT_EQ(OneLine(text), text);
}

TEST(OneLine, EscapesWhatATerminalOrAReaderOfLinesWouldObey) {
  EXPECT_EQ(OneLine("a\nretort: fine\r\t"), "a\\nretort: fine\\r\\t");
  EXPECT_EQ(OneLine("\x1b[2J\x7f\a"), "\\x1b[2J\\x7f\\x07");
  EXPECT_EQ(OneLine(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(OneLine("\u009b31m \u2028 \u202e \u2066"), "\\u009b31m \\u2028 \\u202e \\u2066");
}

TEST(OneLine, EscapesBytesThatAreNotUtf8) {
  // Stray, cut short, overlong, a surrogate, beyond Unicode.
  EXPECT_EQ(OneLine("\x80 \xc3"), "\\x80 \\xc3");
  EXPECT_EQ(OneLine("\xc0\xaf \xe0\x80\xaf"), "\\xc0\\xaf \\xe0\\x80\\xaf");
  EXPECT_EQ(OneLine("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(OneLine("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(OneLine, LeavesOutTheMiddleOfWhatIsTooLong) {
  const std::string text = "file: " + std::string(100000, 'x') + "; do this";
  const std::string line = OneLine(text, 200);
  EXPECT_LE(line.size(), 200u);
  EXPECT_GE(line.size(), 150u);
  EXPECT_TRUE(line.starts_with("file: xxx")) << line;
  EXPECT_TRUE(line.ends_with("x; do this")) << line;
  EXPECT_NE(line.find("bytes left out"), std::string::npos) << line;
  EXPECT_EQ(OneLine(line, 200), line);
}

TEST(OneLine, CutsBetweenCharactersAndCountsEscapes) {
  for (const std::string unit : {"東", "😀", "\n", "\x80", "\u202e", "a"}) {
    for (size_t n = 1; n < 300; ++n) {
      std::string text;
      for (size_t i = 0; i < n; ++i) text += unit;
      const std::string line = OneLine(text, 100);
      ASSERT_LE(line.size(), 100u) << n;
      ASSERT_EQ(OneLine(line, 100), line) << "no character is cut";
    }
  }
}

TEST(Quoted, KeepsAnErrorShort) {
  EXPECT_EQ(Quoted("a\nb\x1b"), "'a\\nb\\x1b'");
  EXPECT_EQ(Quoted("größe"), "'größe'");
  EXPECT_LE(Quoted(std::string(5000, 'x')).size(), kLongestQuote + 2);
}

TEST(ShellWord, IsOneWordOfACommand) {
  EXPECT_EQ(ShellWord("runs/a-2"), "runs/a-2");
  EXPECT_EQ(ShellWord("my recipe.json"), "'my recipe.json'");
  EXPECT_EQ(ShellWord("it's; rm"), "'it'\\''s; rm'");
  EXPECT_EQ(ShellWord(""), "''");
}

TEST(Error, IsOneLineWhateverIsInIt) {
  const Error error = InputError("config.json: model_type '", std::string(1 << 20, 'x'),
                                 "\nretort: fine\x1b[2J' is not known; known: llama");
  const std::string what = error.what();
  EXPECT_LE(what.size(), kLongestMessage);
  EXPECT_TRUE(what.starts_with("config.json: model_type 'xx")) << what;
  EXPECT_TRUE(what.ends_with("retort: fine\\x1b[2J' is not known; known: llama")) << what;
  EXPECT_EQ(what.find('\n'), std::string::npos);
  EXPECT_STREQ(InputError("a", std::string(1, '\0'), "b").what(), "a\\x00b");
}

TEST(Shortened, ShortensBetweenCharactersAndEscapesControls) {
  EXPECT_EQ(Shortened("abc"), "abc");
  EXPECT_EQ(Shortened("a\r\nb\x7f"), "a??b?");
  EXPECT_EQ(Shortened("ab\xc3\xa9z", 3), "ab...");  // the character would be cut in two
  EXPECT_EQ(Shortened(std::string(1 << 20, 'x')).size(), 67u);
}

}  // namespace
}  // namespace retort
