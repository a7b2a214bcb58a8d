// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace retort {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<float> LogsOf(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p) + 3));
  return logits;
}

std::map<int32_t, int64_t> Counts(const std::vector<float>& logits, const SamplingOptions& options,
                                  int64_t draws) {
  std::map<int32_t, int64_t> counts;
  Sampler sampler;
  for (int64_t i = 0; i < draws; ++i)
    ++counts[sampler.Sample(logits, options, static_cast<uint64_t>(i))];
  return counts;
}

// Pearson's statistic of the draws against the distribution, and that nothing else is ever drawn.
double ChiSquare(const std::map<int32_t, int64_t>& counts,
                 const std::map<int32_t, double>& expected, int64_t draws) {
  double sum = 0;
  for (const auto& [id, n] : counts) {
    if (!expected.contains(id)) return kInfinity;
  }
  for (const auto& [id, p] : expected) {
    const double want = p * static_cast<double>(draws);
    const double got = counts.contains(id) ? static_cast<double>(counts.at(id)) : 0;
    sum += (got - want) * (got - want) / want;
  }
  return sum;
}

constexpr int64_t kDraws = 40000;
// 99.9 % quantiles of chi-square with 1 ... 4 degrees of freedom.
constexpr double kLimit[] = {0, 10.83, 13.82, 16.27, 18.47};

struct Distribution {
  std::string name;
  SamplingOptions options;
  std::map<int32_t, double> expected;
};

// Probabilities by id: .1 .4 .2 .25 .05
class Distributions : public testing::TestWithParam<Distribution> {};

TEST_P(Distributions, AreDrawnAsTheOptionsSay) {
  const std::vector<float> logits = LogsOf({.1, .4, .2, .25, .05});
  const Distribution& c = GetParam();
  EXPECT_LT(ChiSquare(Counts(logits, c.options, kDraws), c.expected, kDraws),
            kLimit[c.expected.size() - 1] + 1e-9);
}

SamplingOptions At(double temperature, int64_t top_k = 0, double top_p = 1, double min_p = 0) {
  SamplingOptions o;
  o.temperature = temperature;
  o.top_k = top_k;
  o.top_p = top_p;
  o.min_p = min_p;
  return o;
}

INSTANTIATE_TEST_SUITE_P(
    Sampler, Distributions,
    testing::Values(
        Distribution{"Plain", At(1), {{0, .1}, {1, .4}, {2, .2}, {3, .25}, {4, .05}}},
        // Temperature 1/2 squares: .01 .16 .04 .0625 .0025 of .275
        Distribution{"Cool",
                     At(.5),
                     {{0, .01 / .275},
                      {1, .16 / .275},
                      {2, .04 / .275},
                      {3, .0625 / .275},
                      {4, .0025 / .275}}},
        Distribution{"TopK", At(1, 2), {{1, .4 / .65}, {3, .25 / .65}}},
        Distribution{
            "TopKBeyondTheVocabulary", At(1, 9), {{0, .1}, {1, .4}, {2, .2}, {3, .25}, {4, .05}}},
        // .4 + .25 < .7 <= .4 + .25 + .2: the one that crosses stays.
        Distribution{"TopP", At(1, 0, .7), {{1, .4 / .85}, {3, .25 / .85}, {2, .2 / .85}}},
        Distribution{"TopPJustReached", At(1, 0, .649), {{1, .4 / .65}, {3, .25 / .65}}},
        // Of the top 3's .85 half is .425, so two stay; of the whole .5 it would be the same two,
        // of .9 of .85 = .765 all three, of .9 of the whole four.
        Distribution{"TopPOfTopK", At(1, 3, .9), {{1, .4 / .85}, {3, .25 / .85}, {2, .2 / .85}}},
        // .45 * .4 = .18
        Distribution{"MinP", At(1, 0, 1, .45), {{1, .4 / .85}, {3, .25 / .85}, {2, .2 / .85}}},
        Distribution{"MinPAfterTopP", At(1, 0, .6, .3), {{1, .4 / .65}, {3, .25 / .65}}}),
    [](const auto& info) { return info.param.name; });

// Of .1 .4 .2 .25 .05, what is left by the options, the likeliest first.
TEST(Sampler, TellsWhatItDrewFrom) {
  const std::vector<float> logits = LogsOf({.1, .4, .2, .25, .05});
  const auto told = [&](const SamplingOptions& options, int64_t top) {
    Sampler sampler;
    return sampler.DrawnLogprobs(sampler.Sample(logits, options, 0), top);
  };
  SamplingOptions options = At(1);
  TokenLogprobs all = told(options, 2);
  ASSERT_EQ(all.top.size(), 2u);
  EXPECT_EQ(all.top[0].first, 1);
  EXPECT_NEAR(all.top[0].second, std::log(.4), 1e-6);
  EXPECT_EQ(all.top[1].first, 3);
  options.top_k = 2;
  const TokenLogprobs two = told(options, 5);
  ASSERT_EQ(two.top.size(), 2u);
  EXPECT_NEAR(two.top[0].second, std::log(.4 / .65), 1e-6);
  EXPECT_NEAR(two.logprob, std::log((two.id == 1 ? .4 : .25) / .65), 1e-6);
  options.typical_p = .999;  // one of the rare steps
  EXPECT_EQ(told(options, 5).top.size(), 2u);
  const TokenLogprobs greedy = told(At(0), 5);
  EXPECT_EQ(greedy.top, (std::vector<std::pair<int32_t, double>>{{1, 0}}));
  Sampler sampler;
  sampler.Sample(logits, options, 0);
  EXPECT_EQ(sampler.DrawnLogprobs(4, 0).logprob, 0);  // forced
}

TEST(Sampler, KeepsOneTokenWhateverTheOptions) {
  const std::vector<float> logits = LogsOf({.1, .4, .2, .25, .05});
  for (const SamplingOptions& o :
       {At(1, 1), At(1, 0, 0), At(1, 0, .39), At(1, 0, 1, 1), At(1e-300), At(1e-6)}) {
    const auto counts = Counts(logits, o, 200);
    EXPECT_EQ(counts.size(), 1u);
    EXPECT_EQ(counts.begin()->first, 1);
  }
}

TEST(Sampler, GreedyTakesTheLowestOfEquals) {
  EXPECT_EQ(Sampler().Sample(std::vector<float>{1, 3, 2, 3}, At(0), 0), 1);
  EXPECT_EQ(Sampler().Sample(std::vector<float>{-5, -5}, At(0), 0), 0);
}

TEST(Sampler, TakesTheLowestIdsOfEqualsAtAnEdge) {
  const std::vector<float> equal(1000, 0.5f);
  for (const auto& [id, n] : Counts(equal, At(1, 3), 300)) EXPECT_LT(id, 3);
  for (const auto& [id, n] : Counts(equal, At(1, 0, .0995), 2000)) EXPECT_LT(id, 100);
}

TEST(Sampler, TopPBeyondTheFirstStretchMatchesAFullSort) {
  RandomStream random(MakeKey(7, RandomUse::kData));
  std::vector<double> p(5000);
  double sum = 0;
  for (double& x : p) sum += x = std::exp(random.Normal());
  std::vector<float> logits;
  for (double& x : p) logits.push_back(static_cast<float>(std::log(x)));
  std::vector<std::pair<double, int32_t>> sorted;
  for (size_t i = 0; i < p.size(); ++i)
    sorted.emplace_back(-std::exp(static_cast<double>(logits[i])), i);
  std::sort(sorted.begin(), sorted.end());
  std::map<int32_t, bool> kept;
  double reached = 0;
  for (const auto& [minus, id] : sorted) {
    kept[id] = true;
    if ((reached -= minus) >= .6 * sum) break;
  }
  ASSERT_GT(kept.size(), 400u);
  const auto counts = Counts(logits, At(1, 0, .6), 8000);
  for (const auto& [id, n] : counts) EXPECT_TRUE(kept.contains(id)) << id;
  // Drawn about ten times each.
  EXPECT_GT(counts.size(), kept.size() * 9 / 10);
}

// The definition, by sorting everything, in double.
int32_t ByDefinition(const std::vector<float>& logits, const SamplingOptions& o,
                     uint64_t position) {
  struct Token {
    int32_t id;
    double weight;
  };
  std::vector<Token> all;
  const double highest = *std::max_element(logits.begin(), logits.end());
  for (const float x : logits)
    all.push_back({static_cast<int32_t>(all.size()), std::exp((x - highest) / o.temperature)});
  std::stable_sort(all.begin(), all.end(),
                   [](const Token& a, const Token& b) { return a.weight > b.weight; });
  if (o.top_k > 0 && o.top_k < std::ssize(all)) all.resize(static_cast<size_t>(o.top_k));
  const auto sum = [&] {
    return std::accumulate(all.begin(), all.end(), 0.0,
                           [](double s, const Token& t) { return s + t.weight; });
  };
  if (o.top_p < 1) {
    const double wanted = o.top_p * sum();
    size_t kept = 0;
    for (double reached = 0; kept < all.size() && (kept == 0 || reached < wanted); ++kept)
      reached += all[kept].weight;
    all.resize(kept);
  }
  std::erase_if(all, [&](const Token& t) { return t.weight < o.min_p; });
  std::sort(all.begin(), all.end(), [](const Token& a, const Token& b) { return a.id < b.id; });
  double left = RandomStream(MakeKey(o.seed, RandomUse::kSample, position)).Uniform() * sum();
  for (const Token& t : all) {
    if ((left -= t.weight) < 0) return t.id;
  }
  return all.back().id;
}

TEST(Sampler, DrawsByItsDefinitionFromVocabulariesOfManyBlocks) {
  RandomStream random(MakeKey(8, RandomUse::kData));
  for (const size_t size : {1, 2, 127, 128, 129, 1000, 20011}) {
    for (const double spread : {0.3, 3.0}) {
      std::vector<float> logits(size);
      for (float& x : logits) x = static_cast<float>(spread * random.Normal());
      for (size_t i = 0; i < size; i += 3) logits[i] = std::round(logits[i] * 8) / 8;  // equals
      Sampler sampler;
      for (const SamplingOptions& o :
           {At(1), At(.5), At(2), At(1, 1), At(1, 40), At(1, 700), At(1, 40, .8),
            At(1, 700, .95, .01), At(1, 0, .5), At(1, 0, .95), At(2, 0, .999), At(1, 0, 0),
            At(1, 0, 1, .05), At(.7, 0, .9, .1), At(1, 0, 1, 1), At(1, 0, .999999)}) {
        int differ = 0;
        for (uint64_t i = 0; i < 40; ++i)
          differ += sampler.Sample(logits, o, i) != ByDefinition(logits, o, i);
        // A number that falls next to a border may be rounded over it.
        EXPECT_LE(differ, 1) << size << " logits, temperature " << o.temperature << ", top_k "
                             << o.top_k << ", top_p " << o.top_p << ", min_p " << o.min_p;
      }
    }
  }
}

TEST(Sampler, GreedyFindsTheHighestWhereverItIs) {
  Sampler sampler;
  for (const size_t size : {1, 5, 127, 128, 129, 400}) {
    for (size_t at = 0; at < size; ++at) {
      std::vector<float> logits(size, -7.0f);
      logits[at] = -6;
      EXPECT_EQ(sampler.Sample(logits, At(0), 0), static_cast<int32_t>(at)) << size;
    }
  }
}

TEST(Sampler, DrawsDependOnSeedAndPositionAlone) {
  const std::vector<float> logits(200, 0.0f);
  SamplingOptions a = At(1), b = At(1);
  b.seed = 2;
  int same_seed = 0, other_seed = 0, next = 0;
  for (uint64_t i = 0; i < 500; ++i) {
    same_seed += Sampler().Sample(logits, a, i) == Sampler().Sample(logits, a, i);
    other_seed += Sampler().Sample(logits, a, i) == Sampler().Sample(logits, b, i);
    next += Sampler().Sample(logits, a, i) == Sampler().Sample(logits, a, i + 1);
  }
  EXPECT_EQ(same_seed, 500);
  EXPECT_LT(other_seed, 20);
  EXPECT_LT(next, 20);
}

TEST(Sampler, RefusesLogitsThatAreNoNumbers) {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              inf = std::numeric_limits<float>::infinity();
  EXPECT_THROW(Sampler().Sample(std::vector<float>{1, nan}, At(0), 0), Error);
  EXPECT_THROW(Sampler().Sample(std::vector<float>{nan, 1}, At(0), 0), Error);
  EXPECT_THROW(Sampler().Sample(std::vector<float>{1, inf}, At(1), 0), Error);
  EXPECT_THROW(Sampler().Sample(std::vector<float>{-inf, -inf}, At(0), 0), Error);
  EXPECT_EQ(Sampler().Sample(std::vector<float>{-inf, 1}, At(1), 0), 1);
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  const auto kind = [](SamplingOptions o) {
    try {
      CheckSampling(o);
    } catch (const Error& e) {
      return e.kind() == Error::Kind::kInput;
    }
    return false;
  };
  EXPECT_FALSE(kind(At(1)));
  EXPECT_TRUE(kind(At(-1)));
  EXPECT_TRUE(kind(At(std::numeric_limits<double>::quiet_NaN())));
  EXPECT_TRUE(kind(At(kInfinity)));
  EXPECT_TRUE(kind(At(1, -1)));
  EXPECT_TRUE(kind(At(1, 0, 1.1)));
  EXPECT_TRUE(kind(At(1, 0, 1, -.1)));
  SamplingOptions none = At(1), empty = At(1);
  none.max_tokens = -1;
  empty.stop = {""};
  EXPECT_TRUE(kind(none));
  EXPECT_TRUE(kind(empty));
}

}  // namespace
}  // namespace retort
