// SPDX-License-Identifier: Apache-2.0
#include "runner/server_prompt.h"

#include <gtest/gtest.h>

#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

TokenizerSpec SpecOf(std::vector<std::string> pieces) {
  TokenizerSpec spec;
  for (std::string& piece : pieces)
    spec.pieces.push_back({std::move(piece), 0, TokenizerSpec::PieceType::kNormal});
  return spec;
}

TEST(ServerPrompt, KnowsHowManyBytesFit) {
  TokenizerSpec spec = SpecOf({"a", "abcd", "ab"});
  EXPECT_EQ(MostTextBytes(spec, 10), std::nullopt);  // unknown characters may all be one token
  spec.byte_fallback = true;
  EXPECT_EQ(MostTextBytes(spec, 10), 3 * 10 * 4);
  spec.added.push_back({3, "<|longer|>", true});
  EXPECT_EQ(MostTextBytes(spec, 10), 3 * 10 * 10);

  TokenizerSpec stripping = spec, collapsing = spec, mapped = spec, unknown = spec;
  stripping.added.back().rstrip = true;
  collapsing.remove_extra_whitespaces = true;
  mapped.charsmap = "x";
  unknown.tokenizer_json = "{}";
  for (const TokenizerSpec* any : {&stripping, &collapsing, &mapped, &unknown})
    EXPECT_EQ(MostTextBytes(*any, 10), std::nullopt);
  unknown.pre = "qwen2";  // its steps are known
  EXPECT_EQ(MostTextBytes(unknown, 10), 3 * 10 * 10);
}

}  // namespace
}  // namespace retort
