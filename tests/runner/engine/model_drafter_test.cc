// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/draft/model_drafter.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/support/random_model.h"

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

constexpr int64_t kVocab = 50;

class ModelDrafterTest : public testing::Test {
 protected:
  ModelDrafterTest() { Make(1024); }

  void Make(int64_t cache_tokens, int64_t most_ids = kVocab) {
    DenseConfig config = SmallConfig(kVocab);
    config.max_positions = 700;
    model_ = RandomModel(config, 4, *backend_, 3);
    drafter_.emplace(*model_, nullptr, most_ids, DType::kF32, cache_tokens, cache_tokens);
  }
  static Ids Text(int64_t size, int32_t salt = 0) {
    Ids ids;
    for (int32_t i = 0; i < size; ++i) ids.push_back((i * 7 + salt) % static_cast<int32_t>(kVocab));
    return ids;
  }
  DraftRequest Request(uint64_t stream, const Ids& tokens, int64_t most = 5) const {
    return {stream, tokens, std::ssize(tokens), 700, &sampling_, most};
  }
  Ids Guessed(uint64_t stream, const Ids& tokens, int64_t most = 5) {
    std::vector<DraftRequest> requests = {Request(stream, tokens, most)};
    drafter_->Propose(requests);
    return requests[0].ids;
  }
  // What the model says behind a text, the slow way.
  Ids Said(Ids tokens, int64_t count) const {
    const size_t size = tokens.size();
    for (int64_t i = 0; i < count; ++i) {
      Batch batch;
      batch.AddRow(tokens, 0);
      Context context{*backend_};
      const auto logits =
          backend_->ToFloats(model_->Logits(context, nullptr, model_->Hidden(context, {batch}),
                                            {static_cast<int32_t>(tokens.size()) - 1}));
      tokens.push_back(Sampler().Sample(logits, sampling_, tokens.size()));
    }
    return {tokens.begin() + static_cast<std::ptrdiff_t>(size), tokens.end()};
  }

  std::unique_ptr<Backend> backend_ = MakeReferenceBackend();
  std::unique_ptr<Model> model_;
  std::optional<ModelDrafter> drafter_;
  SamplingOptions sampling_;
};

TEST_F(ModelDrafterTest, GuessesWhatItsModelSays) {
  for (const double temperature : {0.0, 0.9}) {
    sampling_.temperature = temperature;
    const uint64_t stream = temperature > 0 ? 2 : 1;
    Ids text = Text(20);
    Ids guesses = Guessed(stream, text);
    EXPECT_EQ(guesses, Said(text, 5));
    // Two came true, then something else was said.
    text.insert(text.end(), guesses.begin(), guesses.begin() + 2);
    text.push_back((guesses[2] + 1) % static_cast<int32_t>(kVocab));
    guesses = Guessed(stream, text);
    EXPECT_EQ(guesses, Said(text, 5));
    // All came true, and steps without guesses follow.
    text.insert(text.end(), guesses.begin(), guesses.end());
    for (const int32_t id : {3, 1, 4}) text.push_back(id);
    EXPECT_EQ(Guessed(stream, text, 3), Said(text, 3));
    EXPECT_EQ(Guessed(stream, text, 2), Said(text, 2)) << "asked again";
    // More was said than had been guessed, and something else.
    guesses = Guessed(stream, text);
    text.push_back(guesses[0]);
    for (int32_t i = 1; i < 8; ++i) text.push_back((guesses[1] + i) % static_cast<int32_t>(kVocab));
    EXPECT_EQ(Guessed(stream, text), Said(text, 5));
  }
}

TEST_F(ModelDrafterTest, ManyStreamsAtOnceAreGuessedAsEachAlone) {
  const std::vector<Ids> texts = {Text(40), Text(3, 5), Text(70, 9)};
  for (int round = 0; round < 2; ++round) {
    std::vector<DraftRequest> requests;
    for (size_t i = 0; i < texts.size(); ++i)
      requests.push_back(Request(i, texts[i], 2 + static_cast<int64_t>(i)));
    drafter_->Propose(requests);
    for (size_t i = 0; i < texts.size(); ++i)
      EXPECT_EQ(requests[i].ids, Said(texts[i], 2 + static_cast<int64_t>(i))) << i;
    drafter_->Forget(1);
  }
}

TEST_F(ModelDrafterTest, ReadsALongTextInSeveralSteps) {
  const Ids text = Text(600);
  EXPECT_EQ(Guessed(1, text), Ids{});
  EXPECT_EQ(Guessed(1, text), Ids{});
  EXPECT_EQ(Guessed(1, text), Said(text, 5));
  // Another with the same beginning does not read it again.
  Ids other = text;
  other.back() = 7;
  EXPECT_EQ(Guessed(2, other), Said(other, 5));
}

TEST_F(ModelDrafterTest, GuessesNothingWhereItCannot) {
  EXPECT_EQ(Guessed(1, Text(696)), Ids{}) << "beyond its positions";
  Ids unknown = Text(20);
  unknown[3] = kVocab;
  EXPECT_EQ(Guessed(2, unknown), Ids{});
  unknown.push_back(1);
  EXPECT_EQ(Guessed(2, unknown), Ids{});
  Make(64);
  EXPECT_EQ(Guessed(3, Text(50)).size(), 5u);
  EXPECT_EQ(Guessed(4, Text(20, 3)), Ids{}) << "no room in the cache";
  drafter_->Forget(3);
  EXPECT_EQ(Guessed(4, Text(20, 3)), Said(Text(20, 3), 5));
}

TEST_F(ModelDrafterTest, AStreamThatItCannotReadOnTakesNoRoom) {
  Make(64);
  Ids text = Text(50);
  EXPECT_EQ(Guessed(1, text).size(), 5u);
  text.push_back(kVocab);
  EXPECT_EQ(Guessed(1, text), Ids{}) << "a token that the model lacks";
  EXPECT_EQ(Guessed(2, Text(50, 3)), Said(Text(50, 3), 5));
  Make(704);
  text = Text(693);
  while (Guessed(1, text).empty()) {
  }
  text.resize(698, 1);
  EXPECT_EQ(Guessed(1, text), Ids{}) << "beyond its positions";
  EXPECT_EQ(Guessed(2, Text(50, 3)), Said(Text(50, 3), 5));
}

TEST_F(ModelDrafterTest, GuessesNoIdThatTheTokenizerLacks) {
  Make(1024, 10);
  for (const int32_t id : Guessed(1, Text(20), 20)) EXPECT_LT(id, 10);
}

}  // namespace
}  // namespace retort
