// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/prefix_table.h"

#include <algorithm>

#include "tests/tokenizer/made_tokenizer.h"
#include "tokenizer/special_texts.h"

namespace retort {
namespace {

// The indices of the texts that a text begins with, in the table's order.
std::vector<size_t> Beginning(const PrefixTable& table, std::string_view text, size_t pos) {
  std::vector<size_t> found;
  for (int32_t i = table.Longest(text, pos); i >= 0; i = table.Shorter(i))
    found.push_back(table.IndexOf(i));
  return found;
}

TEST(PrefixTable, FindsWhatATextBeginsWith) {
  const PrefixTable table({"b", "ab", "", "abcabcabcabc", "ab", "\xFF", "abcabcabcabd"}, "test",
                          "text");
  EXPECT_EQ(Beginning(table, "abcabcabcabc", 0), (std::vector<size_t>{3, 1, 4}));
  EXPECT_EQ(Beginning(table, "xabcabcabcabe", 1), (std::vector<size_t>{1, 4}));
  EXPECT_EQ(Beginning(table, "ab", 0), (std::vector<size_t>{1, 4}));
  EXPECT_EQ(Beginning(table, "a", 0), (std::vector<size_t>{}));
  EXPECT_EQ(Beginning(table, "\xFF", 0), (std::vector<size_t>{5}));
  EXPECT_EQ(Beginning(table, "ba", 0), (std::vector<size_t>{0}));
  EXPECT_EQ(PrefixTable().Longest("a", 0), -1);
}

TEST(PrefixTable, FindsWhatAComparisonWithEachFinds) {
  uint32_t state = 1;
  const auto below = [&](uint32_t n) { return (state = state * 1664525 + 1013904223) / 65536 % n; };
  const auto made = [&](uint32_t most) {
    std::string text;
    for (uint32_t i = below(most); i > 0; --i) text += static_cast<char>('a' + below(2));
    return text;
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> texts;
    for (uint32_t i = below(60); i > 0; --i) texts.push_back(made(20));
    const PrefixTable table({texts.begin(), texts.end()}, "test", "text");
    for (int k = 0; k < 30; ++k) {
      const std::string text = "x" + made(24) + "a";
      std::vector<size_t> want;
      for (size_t i = 0; i < texts.size(); ++i) {
        if (!texts[i].empty() && std::string_view(text).substr(1).starts_with(texts[i]))
          want.push_back(i);
      }
      std::ranges::stable_sort(
          want, [&](size_t a, size_t b) { return texts[a].size() > texts[b].size(); });
      ASSERT_EQ(Beginning(table, text, 1), want) << text;
    }
  }
}

TEST(PrefixTable, RefusesWhatWouldTakeTooLong) {
  ExpectRefusal(RefusalOf([] { PrefixTable({std::string(5000, 'a')}, "f", "added token"); }),
                "f: added token 'aaaa");
  std::vector<std::string> nested;
  for (size_t i = 1; i < 300; ++i) nested.emplace_back(i, 'a');
  ExpectRefusal(RefusalOf([&] {
                  PrefixTable({nested.begin(), nested.end()}, "f", "piece");
                }),
                "begins with 256 others");
}

TEST(SpecialTexts, AreFoundHoweverShort) {
  TokenizerSpec spec;
  using PieceType = TokenizerSpec::PieceType;
  spec.kind = TokenizerSpec::Kind::kSentencePiece;
  spec.pieces = {{"<unk>", 0, PieceType::kUnknown},   {"<s>", 0, PieceType::kControl},
                 {"</s>", 0, PieceType::kControl},    {"a", 0, PieceType::kNormal},
                 {"[X]", 0, PieceType::kUserDefined}, {"<0x41>", 0, PieceType::kByte}};
  const SpecialTexts texts(spec);
  EXPECT_EQ(texts.First("a b</s>"), "</s>");
  EXPECT_EQ(texts.First("<s>[INST] x </s>"), "<s>");
  EXPECT_EQ(texts.First("<unk>"), "<unk>");
  EXPECT_EQ(texts.First("a [X] <0x41> < s >"), "");
  EXPECT_EQ(texts.First(""), "");
}

}  // namespace
}  // namespace retort
