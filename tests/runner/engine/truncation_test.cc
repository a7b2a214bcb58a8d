// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/sampling/truncation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "runner/engine/sampler.h"
#include "runner/engine/sampling/dynamic_temperature.h"
#include "runner/engine/sampling/mirostat.h"

namespace retort {
namespace {

Candidates WithProbabilities(const std::vector<double>& probabilities) {
  Candidates out;
  for (size_t i = 0; i < probabilities.size(); ++i) {
    out.push_back({static_cast<int32_t>(i), static_cast<float>(std::log(probabilities[i])),
                   static_cast<float>(probabilities[i])});
  }
  return out;
}

std::vector<int32_t> IdsOf(const Candidates& candidates) {
  std::vector<int32_t> ids;
  for (const Candidate& c : candidates) ids.push_back(c.id);
  return ids;
}

using Ids = std::vector<int32_t>;

TEST(Truncation, TopNSigmaKeepsLogitsNearTheHighest) {
  // Mean 0, variance (4 + 1 + 0 + 1 + 4) / 5 = 2, so sigma is 1.414.
  Candidates candidates;
  for (int32_t id = 0; id < 5; ++id) candidates.push_back({id, static_cast<float>(id - 2), 1});
  Candidates one = candidates, two = candidates, none = candidates;
  KeepWithinSigma(one, 1);  // 2 - 1.414 = 0.586
  EXPECT_EQ(IdsOf(one), (Ids{3, 4}));
  KeepWithinSigma(two, 2);  // 2 - 2.83 = -0.83
  EXPECT_EQ(IdsOf(two), (Ids{2, 3, 4}));
  KeepWithinSigma(none, 0.0001);
  EXPECT_EQ(IdsOf(none), (Ids{4}));
}

TEST(Truncation, TypicalTakesWhatSurprisesAsMuchAsTheEntropy) {
  // H = 0.5 ln 2 + 0.25 * 2 * ln 4 = 1.04; surprises .69, 1.39, 1.39: off by .347 each, so all tie
  // and the order is that of the list, but rounding must not lose the share.
  // With .7 .1 .1 .1: H = .25 + .69 = .94; off by .583 (the likeliest) and 1.36 (the others).
  Candidates sure = WithProbabilities({.7, .1, .1, .1});
  KeepTypical(sure, .6);
  EXPECT_EQ(IdsOf(sure), (Ids{0}));
  // .4 .3 .2 .1: H = 1.2799; surprises .916 1.204 1.609 2.303; off by .364 .076 .330 1.023.
  Candidates spread = WithProbabilities({.4, .3, .2, .1});
  KeepTypical(spread, .45);
  EXPECT_EQ(IdsOf(spread), (Ids{1, 2}));  // not the likeliest
  Candidates more = WithProbabilities({.4, .3, .2, .1});
  KeepTypical(more, .55);
  EXPECT_EQ(IdsOf(more), (Ids{0, 1, 2}));
}

TEST(Truncation, XtcLeavesTheLeastLikelyOfTheTopChoices) {
  Candidates candidates = WithProbabilities({.05, .4, .3, .15, .1});
  ExcludeTopChoices(candidates, .12, .5, .5);  // not at this position
  EXPECT_EQ(candidates.size(), 5u);
  ExcludeTopChoices(candidates, .12, .5, .49);
  EXPECT_EQ(IdsOf(candidates), (Ids{0, 3, 4}));
  Candidates sure = WithProbabilities({.9, .05, .05});
  ExcludeTopChoices(sure, .1, 1, 0);  // one top choice stays
  EXPECT_EQ(sure.size(), 3u);
  ExcludeTopChoices(sure, .95, 1, 0);  // there is none
  EXPECT_EQ(sure.size(), 3u);
}

TEST(DynamicTemperature, FollowsTheEntropy) {
  // Equal tokens have all of the entropy: any temperature leaves them equal.
  Candidates equal = WithProbabilities({.25, .25, .25, .25});
  WeighDynamically(equal, 1, .5, 1);
  EXPECT_FLOAT_EQ(equal[0].weight, equal[3].weight);
  // .8 and .2: H = .5004, of log 2 .7219; temperature .5 + 1 * .7219 = 1.2219.
  Candidates two = WithProbabilities({.8, .2});
  WeighDynamically(two, 1, .5, 1);
  EXPECT_NEAR(two[1].weight / two[0].weight, std::pow(.25, 1 / 1.2219), 1e-4);
  // With an exponent of 2: .5 + .5212.
  Candidates squared = WithProbabilities({.8, .2});
  WeighDynamically(squared, 1, .5, 2);
  EXPECT_NEAR(squared[1].weight / squared[0].weight, std::pow(.25, 1 / 1.0212), 1e-4);
}

TEST(Mirostat, LeavesOutSurprisesAndCorrectsItsLimit) {
  // The limit begins at 2 * tau = 2 bits, so that .25 stays and .125 goes.
  Mirostat mirostat(1, .5);
  Candidates first = WithProbabilities({.5, .25, .125, .125});
  EXPECT_EQ(mirostat.Draw(first, .99), 1);
  EXPECT_EQ(IdsOf(first), (Ids{0, 1}));
  // What was drawn had 1/3 of those left: 1.585 bits, .585 above tau. The limit is now 1.7075.
  Candidates second = WithProbabilities({.5, .25, .25});
  EXPECT_EQ(mirostat.Draw(second, .99), 0);
  EXPECT_EQ(IdsOf(second), (Ids{0}));
}

TEST(Mirostat, HoldsTheMeanSurprise) {
  std::vector<float> logits(2000);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = -1.1f * std::log(static_cast<float>(i + 1));
  for (const double tau : {2.0, 4.0}) {
    SamplingOptions options;
    options.temperature = 1;
    options.mirostat = true;
    Mirostat mirostat(tau, .1);
    Sampler sampler;
    double sum = 0;
    for (const float logit : logits) sum += std::exp(logit);
    double bits = 0;
    for (uint64_t i = 0; i < 4000; ++i) {
      const int32_t id = sampler.Sample(logits, options, i, &mirostat);
      bits -= std::log2(std::exp(logits[static_cast<size_t>(id)]) / sum) / 4000;
    }
    // Surprise is counted among the tokens left, so that of all is a little more.
    EXPECT_GT(bits, tau - .2) << tau;
    EXPECT_LT(bits, tau + 1.5) << tau;
  }
}

TEST(SamplerSteps, ComeInTheirOrder) {
  std::vector<float> logits;
  for (const double p : {.1, .4, .2, .25, .05}) logits.push_back(static_cast<float>(std::log(p)));
  const auto drawn = [&](const SamplingOptions& options) {
    Sampler sampler;
    std::set<int32_t> ids;
    for (uint64_t i = 0; i < 400; ++i) ids.insert(sampler.Sample(logits, options, i));
    return ids;
  };
  SamplingOptions options;
  options.temperature = 1;
  options.xtc_probability = 1;
  options.xtc_threshold = .3;
  EXPECT_EQ(drawn(options), (std::set<int32_t>{0, 1, 2, 3, 4}));  // one token reaches .3
  options.top_k = 2;  // .4 and .25 of .65: both do now, and the likelier one goes
  EXPECT_EQ(drawn(options), (std::set<int32_t>{3}));
  options.temperature = 0;
  EXPECT_EQ(drawn(options), (std::set<int32_t>{1}));  // greedy
  // A range of 0.999 about 1 is all but greedy where the model is sure.
  SamplingOptions dynamic;
  dynamic.temperature = 1;
  dynamic.dynatemp_range = 1;
  dynamic.dynatemp_exponent = 400;
  EXPECT_EQ(drawn(dynamic), (std::set<int32_t>{1}));
}

}  // namespace
}  // namespace retort
