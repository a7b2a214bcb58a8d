// SPDX-License-Identifier: Apache-2.0
#include "tokenizer/pre_names.h"

#include <gtest/gtest.h>

#include "tokenizer/pre_battery.h"
#include "tokenizer/word_ends.h"

namespace retort {
namespace {

using Splits = std::vector<SplitSpec>;
using Behavior = SplitSpec::Behavior;

std::string NameFor(const Splits& splits, bool ignore_merges = false,
                    const std::vector<std::string>& tokens = {}) {
  TokenizerSpec spec;
  spec.ignore_merges = ignore_merges;
  for (const std::string& token : tokens) spec.pieces.push_back({token});
  return PreNameFor({{{}, splits}}, spec, /*thorough=*/true);
}

// Other spellings of known expressions, as files and other programs write them.
TEST(PreNames, FindSplitsHoweverTheyAreSpelt) {
  EXPECT_EQ(NameFor({{kGpt2Words}}), "gpt-2");
  EXPECT_EQ(
      NameFor({{R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"}}),
      "gpt-2");
  EXPECT_EQ(
      NameFor(
          {{R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"}}),
      "dbrx");
  EXPECT_EQ(NameFor({{kLlama3Words, false, Behavior::kRemoved, true}}), "dbrx");
  EXPECT_EQ(NameFor({{kLlama3Words, false, Behavior::kIsolated, true}}, true), "llama-bpe");
  EXPECT_EQ(NameFor({{R"(\p{N})"}, {kGpt2Words}}), "smollm");  // "Digits" knows 13 numbers more
}

TEST(PreNames, TellModelsThatSplitAlikeByTheirTokens) {
  EXPECT_EQ(NameFor({{kQwen2Words}}), "qwen2");
  EXPECT_EQ(NameFor({{kQwen2Words}}, false, {"<｜begin▁of▁sentence｜>"}), "deepseek-r1-qwen");
  EXPECT_EQ(NameFor({{kEachDigit}, {kGpt2Words}}), "smollm");
  EXPECT_EQ(NameFor({{kEachDigit}, {kGpt2Words}}, false, {"<|START_OF_TURN_TOKEN|>"}), "command-r");
  // Tokens of StarCoder 2, of StarCoder and Granite 3, and of SmolLM2.
  EXPECT_EQ(NameFor({{kEachDigit}, {kGpt2Words}}, false,
                    {"<fim_prefix>", "<file_sep>", "<jupyter_start>", "<pr_status>"}),
            "starcoder");
  EXPECT_EQ(NameFor({{kEachDigit}, {kGpt2Words}}, false,
                    {"<fim_prefix>", "<filename>", "<jupyter_start>"}),
            "refact");
  EXPECT_EQ(NameFor({{kEachDigit}, {kGpt2Words}}, false,
                    {"<|im_start|>", "<file_sep>", "<filename>", "<jupyter_start>"}),
            "smollm");
}

// gpt-oss has the splits of GPT-4o and ignores merges, of which the export speaks.
TEST(PreNames, PreferOneThatMergesAlike) {
  EXPECT_EQ(NameFor(FindPreName("gpt-4o")->splits, /*ignore_merges=*/true), "gpt-4o");
  EXPECT_EQ(NameFor(FindPreName("tekken")->splits, /*ignore_merges=*/false), "tekken");
  EXPECT_EQ(NameFor({{kLlama3Words}}, /*ignore_merges=*/true), "llama-bpe");
  EXPECT_EQ(NameFor({{kLlama3Words}}, /*ignore_merges=*/false), "dbrx");
}

TEST(PreNames, AreNotGivenToOthers) {
  // Numbers of up to four digits; contractions of capitals; marks apart from letters.
  EXPECT_EQ(
      NameFor(
          {{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,4}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}}),
      "");
  EXPECT_EQ(
      NameFor(
          {{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"}}),
      "");
  EXPECT_EQ(NameFor({{R"( ?\p{L}+)"}}), "");
  EXPECT_EQ(NameFor({}), "");
}

TEST(PreNames, AreReadWhateverTheirNumber) {
  for (const char* name : {"gpt-2",
                           "llama-bpe",
                           "qwen2",
                           "smollm",
                           "default",
                           "tekken",
                           "gpt-4o",
                           "deepseek-llm",
                           "deepseek-coder",
                           "deepseek-v3",
                           "deepseek-r1-qwen",
                           "command-r",
                           "falcon",
                           "falcon3",
                           "starcoder",
                           "refact",
                           "mpt",
                           "olmo",
                           "dbrx",
                           "stablelm2",
                           "phi-2",
                           "granite-docling",
                           "llama4",
                           "kimi-k2",
                           "chatglm-bpe",
                           "glm4",
                           "seed-coder",
                           "bailingmoe",
                           "pixtral"}) {
    const PreName* pre = FindPreName(name);
    ASSERT_NE(pre, nullptr) << name;
    const PreTokenizer splits(pre->splits, name);  // its expressions are understood
    EXPECT_FALSE(splits.Removes());
  }
  EXPECT_EQ(FindPreName("Gpt-2"), nullptr);
}

TEST(PreBattery, SeesARangeThatIsOneCharacterLonger) {
  const Splits cjk{{"[\u4E00-\u9FA5]+"}}, longer{{"[\u4E00-\u9FA6]+"}};
  EXPECT_TRUE(SplitAlike(cjk, cjk));
  EXPECT_FALSE(SplitAlike(cjk, longer));
}

}  // namespace
}  // namespace retort
