// SPDX-License-Identifier: Apache-2.0
// Real rows with real tokenizers.
#include <gtest/gtest.h>

#include <algorithm>

#include "data/examples.h"
#include "data/packing.h"
#include "tests/data/support.h"
#include "tests/support/shared_data.h"

namespace retort {
namespace {

std::vector<int32_t> Learnt(const Example& e) {
  std::vector<int32_t> ids;
  for (const int32_t label : e.labels) {
    if (label != kNoLoss) ids.push_back(label);
  }
  return ids;
}

TEST(RealExamples, Banking77WithStories260K) {
  RETORT_NEEDS(model, "real/models/stories260K");
  RETORT_NEEDS(data, "real/datasets/banking77/train.jsonl");
  const auto tokenizer = Tokenizer::Load(model);
  const Rows rows = Rows::Open({{data}});
  const ExampleSet set = MakeExamples(rows, *tokenizer, nullptr, {});
  ASSERT_EQ(set.examples.size(), 9003u);
  for (const Example& e : set.examples) {
    const Row row = rows.Read(e.row);
    std::vector<int32_t> learnt = Learnt(e);
    ASSERT_EQ(learnt.back(), tokenizer->spec().eos) << row.where;
    learnt.pop_back();
    std::string text;
    for (const int32_t id : learnt) text += tokenizer->Bytes(id);
    ASSERT_EQ(text, row.completion) << row.where;
    const std::vector<int32_t> prompt = tokenizer->EncodePrompt(row.prompt);
    ASSERT_EQ(prompt.size() + learnt.size() + 1, e.ids.size());
    ASSERT_TRUE(std::equal(prompt.begin(), prompt.end(), e.ids.begin())) << row.where;
    ASSERT_EQ(e.ids[0], tokenizer->spec().bos);
  }
  BatchOptions options;
  options.epochs = 1;
  BatchStream stream(set.examples, options);
  int64_t loss_tokens = 0, tokens = 0, capacity = 0;
  while (const auto step = stream.Next()) {
    loss_tokens += step->loss_tokens;
    tokens += step->tokens;
    capacity += 4 * 1024;
  }
  EXPECT_EQ(loss_tokens, set.loss_tokens);
  EXPECT_EQ(tokens, set.tokens);
  EXPECT_GT(static_cast<double>(tokens), 0.98 * static_cast<double>(capacity));
}

TEST(RealExamples, TinyStoriesCutTo256AsTheReferenceFigureWants) {
  RETORT_NEEDS(model, "real/models/stories260K");
  RETORT_NEEDS(data, "real/datasets/tinystories/train.jsonl");
  const auto tokenizer = Tokenizer::Load(model);
  ExampleOptions options;
  options.max_tokens = 256;
  options.over_length = OverLength::kTruncate;
  options.add_eos = false;
  options.audit = Audit::kWarn;
  const ExampleSet set = MakeExamples(Rows::Open({{data}}), *tokenizer, nullptr, options);
  for (const Example& e : set.examples) {
    ASSERT_EQ(e.ids[0], tokenizer->spec().bos);
    ASSERT_LE(e.size(), 256);
    ASSERT_EQ(e.LossTokens(), e.size() - 1);
  }
}

// Cutting a conversation where replies begin and end must not change its ids from those of the
// whole text, which is what other runners feed.
TEST(RealExamples, ChatPiecesAreTheWholeTextsIds) {
  RETORT_NEEDS(data, "real/datasets/gsm8k/test.jsonl");
  const Rows rows = Rows::Open({{data}});
  for (const std::string name : {"qwen2_5", "llama3_2"}) {
    RETORT_NEEDS(folder, "real/tokenizers/" + name);
    const auto tokenizer = Tokenizer::Load(folder);
    const ChatTemplate chat = ChatTemplate::Resolve("auto", tokenizer->spec(), name);
    chat.CheckMarks(*tokenizer, name);
    for (int64_t i = 0; i + 1 < rows.size(); i += 20) {
      const Row a = rows.Read(i), b = rows.Read(i + 1);
      const std::vector<Message> messages = {{"user", a.prompt},
                                             {"assistant", a.completion.substr(1)},
                                             {"user", b.prompt},
                                             {"assistant", b.completion.substr(1)}};
      std::vector<Segment> whole;
      const RenderedChat rendered = chat.Render(messages, false, tokenizer->spec(), "t");
      for (const ChatPiece& p : rendered.pieces) {
        whole.insert(whole.end(), p.segments.begin(), p.segments.end());
      }
      std::vector<int32_t> want = tokenizer->Encode(whole, false);
      if (rendered.bos) want.insert(want.begin(), tokenizer->spec().bos);
      ASSERT_EQ(EncodeChat(*tokenizer, chat, messages, false, "t"), want) << name << " " << i;
    }
  }
}

TEST(RealExamples, TurnsEndWithTheModelsOwnToken) {
  for (const auto& [name, end] : std::vector<std::pair<std::string, std::string>>{
           {"qwen2_5", "<|im_end|>"}, {"llama3_2", "<|eot_id|>"}}) {
    RETORT_NEEDS(folder, "real/tokenizers/" + name);
    const auto tokenizer = Tokenizer::Load(folder);
    const ChatTemplate chat = ChatTemplate::Resolve("auto", tokenizer->spec(), name);
    Row row;
    row.kind = RowFormat::kMessages;
    row.messages = {{"user", "Hi"}, {"assistant", "Hello <|im_end|> <|eot_id|>."}};
    const std::vector<int32_t> learnt = Learnt(EncodeRow(row, *tokenizer, &chat, {}));
    EXPECT_EQ(tokenizer->PieceText(learnt.back()), end);
    EXPECT_EQ(std::ranges::count(learnt, learnt.back()), 1);
    EXPECT_EQ(tokenizer->Decode({learnt.begin(), learnt.end() - 1}),
              "Hello <|im_end|> <|eot_id|>.");
  }
}

}  // namespace
}  // namespace retort
