// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/support/shared_data.h"
#include "tests/tokenizer/byte_tokenizer.h"
#include "tests/tokenizer/made_tokenizer.h"
#include "tokenizer/load_tokenizer.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

// Any limit gives the ids of Encode(), or nothing if there are more.
void ExpectLimits(const Tokenizer& tokenizer, const std::string& text) {
  for (const bool continuation : {false, true}) {
    const Ids ids = tokenizer.Encode(text, continuation);
    EXPECT_EQ(tokenizer.EncodeAtMost(text, continuation, ids.size()), ids);
    EXPECT_EQ(tokenizer.EncodeAtMost(text, continuation, ids.size() + 7), ids);
    for (const size_t less : {size_t{1}, size_t{3}, ids.size()}) {
      if (less == 0 || less > ids.size()) continue;
      EXPECT_EQ(tokenizer.EncodeAtMost(text, continuation, ids.size() - less), std::nullopt);
    }
  }
  const Ids prompt = tokenizer.EncodePrompt(text);
  EXPECT_EQ(tokenizer.EncodePromptAtMost(text, prompt.size()), prompt);
  if (prompt.empty()) return;
  EXPECT_EQ(tokenizer.EncodePromptAtMost(text, prompt.size() - 1), std::nullopt);
}

const char* const kTexts[] = {"",
                              "a",
                              " Hello  world, this is 1234 words!\n\n ok",
                              "na\xC3\xAFve caf\xC3\xA9 \xE6\x9D\xB1\xE4\xBA\xAC \xF0\x9F\x98\x80",
                              "cafe\xCC\x81 \xFF\xFE x",
                              "                              spaces   ",
                              "<|im_start|>user<tool_call>"};

TEST(EncodeAtMost, IsEncodeWithinTheLimit) {
  RETORT_NEEDS(shared, "real");
  for (const char* folder : {"tokenizers/gpt2", "tokenizers/qwen2_5", "tokenizers/llama2-spm",
                             "tokenizers/llama3_2", "models/tinystories-656K"}) {
    SCOPED_TRACE(folder);
    const auto tokenizer = Tokenizer::Load(shared / folder);
    for (const char* text : kTexts) ExpectLimits(*tokenizer, text);
    for (const size_t count : {100, 3000}) {
      std::string text;
      for (size_t i = 0; i < count; ++i) text += Cat(" word", i * i, i % 9 ? "" : ".\n");
      ExpectLimits(*tokenizer, text);
    }
  }
}

TEST(EncodeAtMost, IsEncodeForOtherTokenizers) {
  const ByteTokenizer tokenizer;
  ExpectLimits(tokenizer, "some text");
}

// The text of BOS is BOS where it is markup, and stands at the beginning once.
TEST(EncodeAtMost, PutsOneBosBeforeAPrompt) {
  constexpr int32_t kBos = ByteTokenizer::kBos, kPrefix = ByteTokenizer::kPrefix;
  const Ids hi = {kBos, kPrefix, 'h', 'i'};
  for (const bool add_bos : {true, false}) {
    const ByteTokenizer tokenizer({}, add_bos);
    EXPECT_EQ(tokenizer.puts_bos(), add_bos);
    const Ids plain(hi.begin() + !add_bos, hi.end());
    EXPECT_EQ(tokenizer.EncodePrompt("hi"), plain);
    EXPECT_EQ(tokenizer.EncodeMarkupAtMost("hi", kNoLimit), plain);
    for (const auto& segments : {std::vector<Segment>{{"<s>hi", true}},
                                 std::vector<Segment>{{"", false}, {"<s>", true}, {"hi", false}}}) {
      EXPECT_EQ(tokenizer.EncodePromptAtMost(segments, hi.size()), hi);
      EXPECT_EQ(tokenizer.EncodePromptAtMost(segments, hi.size() - 1), std::nullopt);
      EXPECT_EQ(tokenizer.EncodePromptAtMost(segments, 0), std::nullopt);
    }
    const Ids content = *tokenizer.EncodePromptAtMost({{"<s>", false}, {"hi", true}}, kNoLimit);
    EXPECT_EQ(std::ranges::count(content, kBos), add_bos);
  }
}

// A gigabyte of text is refused by its length alone, and a shorter one at the first token too many.
TEST(EncodeAtMost, LeavesLongTextsUnread) {
  std::vector<std::string> pieces;
  std::vector<std::pair<std::string, std::string>> merges;
  for (std::string piece = "a"; piece.size() <= 32; piece += piece) {
    merges.emplace_back(piece, piece);
    pieces.push_back(piece + piece);
  }
  const GgufMetadata m = MetadataOf(ByteLevelSpec(pieces, merges));
  const auto tokenizer = Tokenizer::FromSpec(SpecFromGguf(m, "test"), "test");
  const std::string word(64 << 20, 'a');  // one word: its merges would take a minute
  EXPECT_EQ(tokenizer->EncodeAtMost(word, false, 1024), std::nullopt);
  EXPECT_EQ(tokenizer->EncodeAtMost(word, false, (word.size() / 64) - 1), std::nullopt);
  EXPECT_EQ(tokenizer->EncodeAtMost(word.substr(0, 640), false, 10), Ids(10, 261));
}

}  // namespace
}  // namespace retort
