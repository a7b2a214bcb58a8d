// SPDX-License-Identifier: Apache-2.0
// Losses of real models, compared with those of an independent NumPy forward pass (four decimals).
#include <gtest/gtest.h>

#include "data/model_tokenizer.h"
#include "eval/answers.h"
#include "eval/choice.h"
#include "eval/loss.h"
#include "model/load.h"
#include "tests/support/shared_data.h"

namespace retort {
namespace {

class RealLoss : public testing::TestWithParam<std::pair<const char*, double>> {};

TEST_P(RealLoss, OfTheFirstEightStories) {
  const auto [name, expected] = GetParam();
  RETORT_NEEDS(folder, std::string("real/models/") + name);
  RETORT_NEEDS(data, "real/datasets/tinystories/train.jsonl");
  const ModelFiles files = OpenModel(folder);
  const auto backend = MakeCpuBackend(2, Compute::kF32);
  const auto model = LoadModel(files, {}, *backend);
  const auto tokenizer = LoadTokenizer(files);
  ExampleOptions options;
  options.max_tokens = 256;
  options.over_length = OverLength::kTruncate;
  options.add_eos = false;
  const ExampleSet set =
      MakeExamples(Rows::Open({{data}}, RowFormat::kText).First(8), *tokenizer, nullptr, options);
  ASSERT_EQ(set.examples.size(), 8u);
  EXPECT_NEAR(EvaluateLoss(*model, nullptr, set.examples).mean(), expected, 2e-4);
  EXPECT_NEAR(EvaluateLoss(*model, nullptr, set.examples, 1).mean(), expected, 2e-4);
}

INSTANTIATE_TEST_SUITE_P(Shared, RealLoss,
                         testing::Values(std::pair{"stories260K", 1.5496},
                                         std::pair{"llama2xs-280K", 2.2139}));

// Labels scored one by one, as rows of their own, through the loss that training uses.
TEST(RealChoice, SharedPromptsScoreAsSeparateRows) {
  RETORT_NEEDS(folder, "real/models/stories260K");
  RETORT_NEEDS(data, "real/datasets/banking77/test.jsonl");
  RETORT_NEEDS(label_file, "real/datasets/banking77/labels.json");
  const ModelFiles files = OpenModel(folder);
  const auto backend = MakeCpuBackend(2, Compute::kF32);
  const auto model = LoadModel(files, {}, *backend);
  const auto tokenizer = LoadTokenizer(files);
  const auto answers = ReadAnswers(Rows::Open({{data}}).First(3), *tokenizer, nullptr);
  const std::vector<std::string> labels = ReadLabels(label_file);
  ASSERT_EQ(labels.size(), 77u);
  ChoiceOptions options;
  options.max_tokens = model->config.max_positions;
  const ChoiceTask task = MakeChoiceTask(answers, labels, *tokenizer, nullptr, options);
  const auto scores = ScoreChoices(*model, nullptr, task.cases);
  for (size_t row = 0; row < answers.size(); ++row) {
    std::vector<Example> examples;
    for (const std::string& label : labels) {
      Example e;
      e.ids = answers[row].prompt;
      e.labels.assign(e.ids.size(), kNoLoss);
      for (const int32_t id : EncodeCompletion(*tokenizer, " " + label, true)) {
        e.ids.push_back(id);
        e.labels.push_back(id);
      }
      examples.push_back(e);
    }
    std::vector<const Example*> pointers;
    for (const Example& e : examples) pointers.push_back(&e);
    const auto losses = ExampleLosses(*model, nullptr, pointers);
    for (size_t l = 0; l < labels.size(); ++l)
      EXPECT_NEAR(scores[row][l], -losses[l].sum, 1e-3) << labels[l];
  }
}

}  // namespace
}  // namespace retort
