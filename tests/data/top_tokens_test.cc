// SPDX-License-Identifier: Apache-2.0
// Selecting the most probable ids of a row of logits, compared with sorting all of them.
#include "data/top_tokens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace retort {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Quarters, so that many are equal; `spread` widens them.
std::vector<float> Logits(int64_t vocab, uint64_t seed, double spread) {
  RandomStream random(MakeKey(seed, RandomUse::kData));
  std::vector<float> out(static_cast<size_t>(vocab));
  for (float& z : out) z = static_cast<float>(std::round(random.Normal() * spread * 4) / 4);
  return out;
}

struct Naive {
  std::vector<int32_t> ids;
  std::vector<double> log_probs;
  double tail;
};

Naive SortAll(const std::vector<float>& z, int64_t k, double temperature) {
  Naive out;
  out.ids.resize(z.size());
  std::iota(out.ids.begin(), out.ids.end(), 0);
  if (k < static_cast<int64_t>(z.size())) {
    std::stable_sort(out.ids.begin(), out.ids.end(),
                     [&](int32_t a, int32_t b) { return z[a] > z[b]; });
  }
  long double total = 0, left = 0;
  const long double top = *std::max_element(z.begin(), z.end());
  for (size_t i = 0; i < z.size(); ++i) {
    const long double mass = std::exp((z[out.ids[i]] - top) / temperature);
    total += mass;
    if (static_cast<int64_t>(i) >= k) left += mass;
  }
  out.ids.resize(static_cast<size_t>(k));
  for (const int32_t id : out.ids) {
    out.log_probs.push_back(static_cast<double>((z[id] - top) / temperature - std::log(total)));
  }
  out.tail = static_cast<double>(std::log(left) - std::log(total));
  return out;
}

TEST(TopSelector, AgreesWithSortingEverything) {
  for (const int64_t vocab : {1, 2, 7, 512, 3001}) {
    for (const int64_t k : {1, 2, 6, 64, 3000, 3001, 9999}) {
      for (const double temperature : {0.5, 1.0, 2.0}) {
        TopSelector selector(vocab, k, temperature);
        TopTokens out(3, selector.kept());
        ASSERT_EQ(selector.kept(), std::min(k, vocab));
        for (int64_t row : {2, 0, 1}) {  // in any order, with one scratch buffer
          const auto z = Logits(vocab, static_cast<uint64_t>(row + 10 * vocab), 3);
          selector.Select(z, out, row);
          const Naive want = SortAll(z, selector.kept(), temperature);
          for (int64_t j = 0; j < selector.kept(); ++j) {
            ASSERT_EQ(out.ids[row * out.k + j], want.ids[j]) << vocab << " " << k << " " << j;
            ASSERT_NEAR(out.log_probs[row * out.k + j], want.log_probs[j],
                        1e-7 * std::max(1.0, -want.log_probs[j]));
          }
          if (selector.kept() == vocab)
            ASSERT_EQ(out.tail[row], -kInfinity);
          else
            ASSERT_NEAR(out.tail[row], want.tail, 1e-7 * std::max(1.0, -want.tail));
        }
      }
    }
  }
}

TEST(TopSelector, EqualLogitsGoToTheLowerId) {
  TopSelector selector(6, 3, 1);
  TopTokens out(1, 3);
  selector.Select(std::vector<float>{-1, 0.0f, -0.0f, 0.0f, -0.0f, 2}, out, 0);
  EXPECT_EQ(out.ids, (std::vector<int32_t>{5, 1, 2}));
}

// 1 - sum of the kept would be 0 here.
TEST(TopSelector, ATinyTailKeepsItsPrecision) {
  TopSelector selector(4, 2, 1);
  TopTokens out(1, 2);
  selector.Select(std::vector<float>{0, -60, -61, -61}, out, 0);
  EXPECT_FLOAT_EQ(out.tail[0], static_cast<float>(-61 + std::log(2.0)));
  EXPECT_LE(out.log_probs[0], 0);
}

TEST(TopSelector, ImpossibleOutcomesAndBrokenLogits) {
  TopSelector selector(4, 2, 1);
  TopTokens out(1, 2);
  selector.Select(std::vector<float>{-kInfinity, 5, -kInfinity, -kInfinity}, out, 0);
  EXPECT_EQ(out.ids, (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(out.log_probs[0], 0);
  EXPECT_EQ(out.log_probs[1], -kInfinity);
  EXPECT_EQ(out.tail[0], -kInfinity);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::vector<float>& z :
       std::vector<std::vector<float>>{{0, 1, 2, nan},
                                       {nan, 1, 2, 3},
                                       {0, kInfinity, 0, 0},
                                       {-kInfinity, -kInfinity, -kInfinity, -kInfinity}}) {
    EXPECT_THROW(selector.Select(z, out, 0), Error);
  }
  EXPECT_THROW(selector.Select(std::vector<float>{1, 2}, out, 0), Error);
  EXPECT_THROW(TopSelector(4, 2, 0), Error);
}

}  // namespace
}  // namespace retort
