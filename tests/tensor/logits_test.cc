// SPDX-License-Identifier: Apache-2.0
#include "tensor/logits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"

namespace retort {
namespace {

constexpr size_t kLogitCounts[] = {1, 15, 16, 17, 127, 128, 129, 300, 4096};

std::vector<float> Drawn(size_t size) {
  RandomStream random(MakeKey(size, RandomUse::kData));
  std::vector<float> x(size);
  for (float& v : x) v = static_cast<float>(5 * random.Normal() - 40);
  return x;
}

class Logits : public testing::TestWithParam<Isa> {
  void SetUp() override {
    if (GetParam() > HostIsa()) GTEST_SKIP() << "this processor lacks the instructions";
  }
};

TEST_P(Logits, MaximaAreThoseOfBlocks) {
  for (const size_t size : kLogitCounts) {
    std::vector<float> x = Drawn(size);
    x[size / 2] = -std::numeric_limits<float>::infinity();
    std::vector<float> most(LogitsBlocks(size));
    EXPECT_TRUE(BlockMaxima(GetParam(), x, most));
    for (size_t b = 0; b < most.size(); ++b) {
      const auto begin = x.begin() + static_cast<ptrdiff_t>(b * kLogitsBlock);
      const auto end = x.begin() + static_cast<ptrdiff_t>(std::min(size, (b + 1) * kLogitsBlock));
      EXPECT_EQ(most[b], *std::max_element(begin, end)) << size;
    }
    for (const size_t at : {size_t{0}, size / 3, size - 1}) {
      std::vector<float> odd = x;
      odd[at] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_FALSE(BlockMaxima(GetParam(), odd, most)) << at << " of " << size;
    }
  }
}

TEST_P(Logits, WeightsAreExponentials) {
  for (const size_t size : kLogitCounts) {
    for (const float factor : {0.3f, 1.0f, 4.0f}) {
      const std::vector<float> x = Drawn(size);
      const float highest = *std::max_element(x.begin(), x.end());
      std::vector<float> weights(size), sums(LogitsBlocks(size));
      ExpWeights(GetParam(), x, highest, factor, weights, sums);
      std::vector<double> expected(sums.size());
      for (size_t i = 0; i < size; ++i) {
        const double want = std::exp((double{x[i]} - highest) * factor);
        EXPECT_NEAR(weights[i], want, 1e-5 * want + 1e-44) << i << " of " << size;
        expected[i / kLogitsBlock] += want;
      }
      for (size_t b = 0; b < sums.size(); ++b)
        EXPECT_NEAR(sums[b], expected[b], 1e-5 * expected[b] + 1e-43) << b;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, Logits, testing::Values(Isa::kPortable, Isa::kAvx2, Isa::kAvx512));

}  // namespace
}  // namespace retort
