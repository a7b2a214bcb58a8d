// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/stream.h"

#include <gtest/gtest.h>

#include "runner/engine/sampler.h"
#include "tests/tokenizer/made_tokenizer.h"

namespace retort {
namespace {

// A model may have more rows than its tokenizer has ids, with whatever numbers in them.
TEST(Stream, NeverDrawsAnIdThatTheTokenizerLacks) {
  TokenizerSpec spec = ByteLevelSpec({"ab"}, {});
  spec.pieces.push_back({"[PAD257]", 0, TokenizerSpec::PieceType::kUnused});  // as in a GGUF
  const auto tokenizer = Tokenizer::FromSpec(spec, "test");
  ASSERT_EQ(tokenizer->used_ids(), 257);
  std::vector<float> logits(300, 100.0f);
  logits[65] = 1;
  for (size_t id = 0; id < 257; ++id) {
    if (id != 65) logits[id] = -100;
  }
  for (const double temperature : {0.0, 1.0}) {
    GenerationRequest request;
    request.prompt = {66};
    request.sampling.temperature = temperature;
    request.sampling.max_tokens = 20;
    Stream stream(1, request, *tokenizer, {}, 100);
    Batch batch;
    std::vector<int32_t> rows;
    Sampler sampler;
    stream.pages.pages.push_back(0);
    for (int i = 0; i < 10; ++i) {
      stream.AppendTo(stream.unread(), batch, rows);
      const GenerationEvent event = stream.Next(logits, sampler);
      EXPECT_EQ(event.ids, std::vector<int32_t>{65});
      EXPECT_EQ(event.text, "A");
    }
  }
}

}  // namespace
}  // namespace retort
