// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "train/learning.h"

namespace retort {
namespace {

const double kChance = std::log(2048.0);  // 7.62

std::string Judged(const std::vector<double>& losses, double last_norm = 1, double kd = 0,
                   int64_t generated = 0) {
  LossWatch watch;
  for (size_t i = 0; i < losses.size(); ++i) {
    StepMetrics m;
    m.step = static_cast<int64_t>(i) + 1;
    m.loss = losses[i];
    m.kd = kd;
    m.loss_tokens = 10;
    m.generated_tokens = generated;
    m.grad_norm = i + 1 == losses.size() ? last_norm : 1;
    watch.Add(m);
  }
  return watch.Divergence(kChance).value_or("");
}

TEST(LossWatch, ALossThatRoseFarIsDivergence) {
  EXPECT_NE(Judged({2, 1.5, 9}).find("rose from 2 to 9"), std::string::npos);
  EXPECT_EQ(Judged({2, 1.5, 2.4}), "");
  EXPECT_EQ(Judged({0.01, 0.02, 0.4}), "") << "small losses may vary";
}

TEST(LossWatch, ALossOfGuessingIsDivergenceIfTheModelKnewMoreOrWasFarWorse) {
  EXPECT_NE(Judged({5.5, 3, 7.6}).find("guessing"), std::string::npos);
  EXPECT_NE(Judged({9.35, 30, 9.09}).find("guessing"), std::string::npos);
  EXPECT_EQ(Judged({7.7, 7.65, 7.6}), "") << "a random model that has begun to learn";
  EXPECT_EQ(Judged({9.35, 9.2, 9.1}), "") << "a foreign text, too few steps";
}

TEST(LossWatch, AGradientOfZeroIsDivergenceUnlessAllIsLearnt) {
  EXPECT_NE(Judged({9, 7.62, 7.62}, 0).find("gradient is 0"), std::string::npos);
  EXPECT_EQ(Judged({3, 0.01, 0}, 0), "");
}

TEST(LossWatch, OtherLossesHaveNoLevelOfGuessing) {
  EXPECT_EQ(Judged({6, 7.6, 7.6}, 1, 0.5), "");
  EXPECT_EQ(Judged({0.1, 0.2, 1.4}, 1, 0, 50), "") << "of answers that change from step to step";
}

TEST(LossWatch, ManySteps) {
  std::vector<double> losses(500, 1.0);
  losses.back() = 10;
  EXPECT_EQ(Judged(losses), "") << "one odd step is not the level of the run";
  std::fill(losses.end() - 20, losses.end(), 6.0);
  EXPECT_NE(Judged(losses), "");
}

// The levels that spikes were found after, by step from 0.
std::map<size_t, double> Spikes(const std::vector<double>& losses) {
  SpikeWatch watch;
  std::map<size_t, double> out;
  for (size_t i = 0; i < losses.size(); ++i) {
    if (const auto level = watch.Add(losses[i])) out[i] = *level;
  }
  return out;
}

TEST(SpikeWatch, FindsALossFarAboveThoseBefore) {
  std::vector<double> losses;
  for (int i = 0; i < 60; ++i) losses.push_back(1 + 0.1 * (i % 5));
  losses[40] = losses[41] = 9;
  EXPECT_EQ(Spikes(losses), (std::map<size_t, double>{{40, 1.2}, {41, 1.2}}));
}

TEST(SpikeWatch, LeavesNoiseAndTheBeginningAlone) {
  EXPECT_TRUE(Spikes({9, 1, 1, 9, 1, 1, 9}).empty()) << "too few to know what is usual";
  std::vector<double> noisy, falling, small;
  for (int i = 0; i < 100; ++i) {
    noisy.push_back(i % 2 == 0 ? 0.5 : 2.5);
    falling.push_back(8.0 / (1 + i));
    small.push_back(i == 80 ? 0.3 : 0.001);
  }
  EXPECT_TRUE(Spikes(noisy).empty());
  EXPECT_TRUE(Spikes(falling).empty());
  EXPECT_TRUE(Spikes(small).empty()) << "a loss of 0.3 is no harm";
}

TEST(LossWatch, ARunOfOneStepCannotDiverge) { EXPECT_EQ(Judged({30}), ""); }

TEST(NoGain, IsToldOnlyWithoutGain) {
  EXPECT_FALSE(NoGainNote(2.0, 1.99));
  ASSERT_TRUE(NoGainNote(2.0, 2.0));
  EXPECT_TRUE(NoGainNote(2.0, 2.5)->starts_with("nothing was learnt"));
}

}  // namespace
}  // namespace retort
