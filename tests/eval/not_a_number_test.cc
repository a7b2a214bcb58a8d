// SPDX-License-Identifier: Apache-2.0
// A model that computes no numbers gets no score: not a loss, not a share of right labels.
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "eval/choice.h"
#include "eval/exact.h"
#include "eval/loss.h"
#include "tests/eval/support.h"

namespace retort {
namespace {

// The activations of every token are NaN.
struct OddWorld : SmallWorld {
  OddWorld() {
    const int64_t width = model->config.width;
    model->gains[static_cast<size_t>(model->layout.final_norm.gain)] = {backend->FromFloats(
        std::vector<float>(static_cast<size_t>(width), std::numeric_limits<float>::quiet_NaN()),
        {width})};
  }
  Answer AnswerOf(const std::string& text) const {
    return {"rows.jsonl:7", tokenizer.EncodePrompt("Where?"), text, false};
  }
};

std::string FailureOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kFailure);
    return e.what();
  }
  return "";
}

TEST(OddScores, OfALossNameTheirRow) {
  const OddWorld world;
  std::vector<Example> examples(2);
  for (size_t i = 0; i < 2; ++i) {
    examples[i].row = static_cast<int64_t>(40 + i);
    examples[i].ids = {1, 2, 3};
    examples[i].labels = {kNoLoss, 2, 3};
  }
  EXPECT_EQ(EvaluateLoss(*world.model, nullptr, examples).odd_row, 40);
  const SmallWorld sound;
  EXPECT_EQ(EvaluateLoss(*sound.model, nullptr, examples).odd_row, -1);
}

TEST(OddScores, OfAChoiceAreAFailure) {
  const OddWorld world;
  const ChoiceTask task =
      MakeChoiceTask({world.AnswerOf(" a")}, {"a", "b"}, world.tokenizer, nullptr, {});
  const std::string told =
      FailureOf([&] { EvaluateChoice(*world.model, nullptr, task.cases, 100, {}); });
  EXPECT_EQ(told.find("rows.jsonl:7: "), 0u) << told;
}

TEST(OddScores, OfAnExactAnswerAreAFailure) {
  const OddWorld world;
  EXPECT_NE(FailureOf([&] {
              EvaluateExact(*world.model, nullptr, world.tokenizer, nullptr, {world.AnswerOf("a")},
                            {}, {});
            }),
            "");
}

}  // namespace
}  // namespace retort
