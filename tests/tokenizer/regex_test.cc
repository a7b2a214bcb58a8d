// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/regex.h"

#include "tests/tokenizer/made_tokenizer.h"
#include "tokenizer/word_ends.h"

namespace retort {
namespace {

// The matches in a text, each ended by a bar; the gaps between them in brackets.
std::string Matches(const std::string& pattern, const std::string& text) {
  const Regex regex(pattern, "test");
  Regex::Scratch scratch;
  WorkBudget budget = Regex::BudgetFor(text.size());
  std::string out;
  size_t done = 0;
  for (Regex::Match match; regex.Find(text, done, &scratch, &budget, &match); done = match.end) {
    if (match.begin > done) out += Cat("[", text.substr(done, match.begin - done), "]");
    out += Cat(text.substr(match.begin, match.end - match.begin), "|");
  }
  return out + text.substr(done);
}

// A search sees a text through windows. What stands at a window's end must not be taken for the
// text's end, wherever it falls.
TEST(Regex, FindsTheSameThroughWindows) {
  for (size_t before = 480; before < 540; ++before) {
    const std::string dots(before, '.');
    EXPECT_EQ(Matches("a+", dots + "aaaaaaaa."), "[" + dots + "]aaaaaaaa|.");
    EXPECT_EQ(Matches(R"(\s+(?!\S))", dots + "    b"), "[" + dots + "]   | b");
    EXPECT_EQ(Matches(R"(\bab\b)", dots + "ab abc"), "[" + dots + "]ab| abc");
    EXPECT_EQ(Matches("b$", dots + "b b"), "[" + dots + "b ]b|");
    EXPECT_EQ(Matches("(?<=a)b|c(?=d)", dots + "abcdc"), "[" + dots + "a]b|c|dc");
    EXPECT_EQ(Matches("\xC3\xA9|x", dots + "\xC3\xA9\xC3\xA9"), "[" + dots + "]\xC3\xA9|\xC3\xA9|");
  }
}

TEST(Regex, FindsLongMatches) {
  for (const size_t size : {511, 512, 513, 5000, 300000}) {
    const std::string word(size, 'w');
    EXPECT_EQ(Matches(kGpt2Words, "a " + word + " b"), "a| " + word + "| b|");
    EXPECT_EQ(Matches("(?:w|v)+", "a" + word + "b"), "[a]" + word + "|b");
    EXPECT_EQ(Matches("[a-z]+[0-9]", "a " + word + "1"), "[a ]" + word + "1|");
    EXPECT_EQ(Matches("w.*e(?=f)", word + "eef e"), word + "ee|f e");
  }
}

TEST(Regex, SkipsEmptyMatches) {
  EXPECT_EQ(Matches("x*", "axxb"), "[a]xx|b");
  EXPECT_EQ(Matches("(?!b)", std::string(2000, 'a')), std::string(2000, 'a'));
}

// Each would take minutes or years, and none may: not by trying all ways to cut a word, nor by
// looking through the rest of the text from every character of it.
TEST(Regex, GivesUpWhatTakesTooLong) {
  const std::string as(100000, 'a');
  std::string runs;
  while (runs.size() < 40000) runs += std::string(20, 'a') + ".";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"(?:a|a)*[xy]", runs},
      {"(?:a|a)*[xy]", as},
      {"(a+)+[xy]", as.substr(0, 4000) + "b"},
      {"(?:a+b?)*c", as},
      {R"(\p{L}+[!?])", as},
      {"a(?=.*[xy])", as},
      {".*.*.*[xy]", as.substr(0, 20000)},
      {R"((?=(a+))\1[xy])", as},
  };
  for (const auto& c : cases)
    ExpectRefusal(RefusalOf([&] { Matches(c.first, c.second); }), "cannot be split into words");
}

// These take many steps for a reason.
TEST(Regex, GoesOnWhereTheTextIsLong) {
  const std::string capitals(1000000, 'A');
  EXPECT_EQ(Matches(R"([\p{Lu}\p{Lo}]*[\p{Ll}\p{Lo}]+|[\p{Lu}\p{Lo}]+)", capitals).size(),
            capitals.size() + 1);
  EXPECT_EQ(Matches("(?:A|B)+", capitals.substr(0, 300000)).size(), 300001u);
  EXPECT_EQ(Matches("[0-9]", capitals), capitals);
  EXPECT_EQ(Matches("AA[BC]|A", capitals).size(), 2 * capitals.size());
}

TEST(Regex, NamesWhatItCannotRead) {
  ExpectRefusal(RefusalOf([] { Regex("(", "f.json"); }), "f.json: the expression '(' is not");
  ExpectRefusal(RefusalOf([] { Regex(std::string(40000, 'a'), "f.json"); }), "has 40000 bytes");
  std::string deep(9000, '(');
  deep += "a" + std::string(9000, ')');
  ExpectRefusal(RefusalOf([&] { Regex(deep, "f.json"); }), "is not understood");
}

TEST(WholeRegex, MatchesTheWhole) {
  WholeRegex regex(R"((?P<block>model\.layers\.\d+)\.(q|k)_proj)", "test");
  EXPECT_TRUE(regex.Matches("model.layers.12.q_proj"));
  EXPECT_FALSE(regex.Matches("model.layers.12.q_proj.x"));
  EXPECT_FALSE(regex.Matches("a.model.layers.12.q_proj"));
  EXPECT_TRUE(WholeRegex("a|ab", "test").Matches("ab"));
  EXPECT_TRUE(WholeRegex("(?i)Q_PROJ", "test").Matches("q_proj"));
  EXPECT_TRUE(WholeRegex("(?:a|a)*", "test").Matches(std::string(40, 'a')));
}

TEST(WholeRegex, GivesUpWhatTakesTooLong) {
  const std::string name = "model!layers.0.self_attn.q_proj";
  for (const char* pattern : {"(([a-z0-9._!])+)+!", "((.)+.?)+!"}) {
    ExpectRefusal(RefusalOf([&] {
                    WholeRegex regex(pattern, "adapter");
                    for (int i = 0; i < 1000; ++i) regex.Matches(Cat(i, name, name));
                  }),
                  "takes too long on '");
  }
}

}  // namespace
}  // namespace retort
