// SPDX-License-Identifier: Apache-2.0
#include "eval/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/error.h"
#include "tests/eval/support.h"

namespace retort {
namespace {

// Choices whose right values are drawn from softmax(scores), told as scores * distortion.
std::vector<JudgedChoice> Drawn(double distortion, int count, int values = 5) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal(0, 2);
  std::vector<JudgedChoice> choices;
  for (int i = 0; i < count; ++i) {
    JudgedChoice choice;
    for (int v = 0; v < values; ++v) choice.log_probabilities.push_back(normal(random));
    const std::vector<double> shares = Calibrated(choice.log_probabilities, 1);
    choice.right = std::discrete_distribution<size_t>(shares.begin(), shares.end())(random);
    for (double& score : choice.log_probabilities) score *= distortion;
    choices.push_back(choice);
  }
  return choices;
}

TEST(Calibration, FindsTheDistortion) {
  for (const double distortion : {0.25, 1.0, 3.0}) {
    const auto choices = Drawn(distortion, 20000);
    const double fitted = FitTemperature(choices).value();
    EXPECT_NEAR(fitted / distortion, 1, 0.03);
    EXPECT_LT(CalibrationAt(choices, fitted).ece, 0.012);
    for (const double other : {0.9, 1.1})
      EXPECT_LT(CalibrationAt(choices, fitted).nll, CalibrationAt(choices, fitted * other).nll);
  }
}

TEST(Calibration, ErrorIsTheGapBetweenConfidenceAndAccuracy) {
  const double sure = std::log(0.9), unsure = std::log(0.1);
  // 0.9 sure, and right in one of two; then 0.6 sure, and right.
  const std::vector<JudgedChoice> choices = {{{sure, unsure}, 0},
                                             {{sure, unsure}, 1},
                                             {{std::log(0.4), std::log(0.6)}, 1},
                                             {{std::log(0.4), std::log(0.6)}, 1}};
  const Calibration found = CalibrationAt(choices, 1);
  EXPECT_NEAR(found.ece, (0.4 * 2 + 0.4 * 2) / 4, 1e-12);
  EXPECT_NEAR(found.nll, -(sure + unsure + 2 * std::log(0.6)) / 4, 1e-12);
  EXPECT_DOUBLE_EQ(found.right, 0.75);
}

TEST(Calibration, NothingIsFittedWhereAllIsRight) {
  std::vector<JudgedChoice> choices = {{{-0.1, -2}, 0}, {{-3, -0.05}, 1}};
  EXPECT_EQ(FitTemperature(choices), std::nullopt);
  choices.push_back({{-0.2, -1.7}, 1});
  EXPECT_TRUE(FitTemperature(choices));
}

// Half of them right at one confidence: the flatter, the better, without end. And the mirror image.
TEST(Calibration, NothingIsFittedAtABound) {
  EXPECT_EQ(FitTemperature(std::vector<JudgedChoice>{{{-0.1, -2}, 0}, {{-0.1, -2}, 1}}),
            std::nullopt);
  const double tied = std::log(0.5);
  EXPECT_EQ(FitTemperature(std::vector<JudgedChoice>{{{-0.1, -2}, 0}, {{tied, tied}, 1}}),
            std::nullopt);
}

TEST(Calibration, ACaseForEachChoiceOfEachAnswer) {
  const SmallWorld world;
  const GrammarSource source{GrammarSource::Kind::kSchema,
                             R"({"type": "object", "required": ["a", "b"],
      "properties": {"a": {"enum": ["x", "y", "xy"]}, "b": {"type": "boolean"}},
      "additionalProperties": false})",
                             JsonSpace::kCompact, " "};
  const auto grammar =
      CompileGrammar(source, "test", std::make_shared<const Vocabulary>(world.tokenizer));
  const auto task = [&](const std::string& text) {
    const std::vector<Answer> answers = {
        {"row", world.tokenizer.EncodePrompt("a question"), text, false}};
    return MakeCalibrationTask(answers, source, grammar, ByteTokenizer::kEos, world.tokenizer,
                               nullptr, 1000, OverLength::kError);
  };
  const CalibrationTask made = task(R"( {"a":"y","b":true})");
  ASSERT_EQ(made.cases.size(), 2u);
  EXPECT_EQ(made.rows, 1);
  EXPECT_EQ(made.cases[0].labels->labels(), 3);
  EXPECT_EQ(made.cases[1].expected, 1);
  size_t seen = 0;
  const auto check = [&](const ChoiceCase&, const std::vector<double>& scores) {
    double sum = 0;
    for (const double score : scores) sum += std::exp(score);
    EXPECT_NEAR(sum, 1, 1e-9);
    ++seen;
  };
  ScoreAllChoices(*world.model, nullptr, made.cases, 2048, ChoiceScores::kWithin, check);
  EXPECT_EQ(seen, 2u);
  EXPECT_THROW(task(R"( {"a":"z","b":true})"), Error);
}

}  // namespace
}  // namespace retort
