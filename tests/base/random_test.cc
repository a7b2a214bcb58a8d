// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <gtest/gtest.h>

#include <set>

namespace retort {
namespace {

// Known answers published with the Random123 library (kat_vectors, philox4x32 10).
TEST(Philox, MatchesPublishedVectors) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, UniformAndNormalHaveTheirMoments) {
  RandomStream random(MakeKey(7, RandomUse::kInit));
  double sum = 0, normal_sum = 0, normal_squares = 0;
  const int n = 200000;
  for (int i = 0; i < n; ++i) {
    sum += random.Uniform();
    const double z = random.Normal();
    normal_sum += z;
    normal_squares += z * z;
  }
  EXPECT_NEAR(sum / n, 0.5, 0.003);
  EXPECT_NEAR(normal_sum / n, 0, 0.01);
  EXPECT_NEAR(normal_squares / n, 1, 0.015);
}

TEST(Permutation, HoldsEveryIndexOnceAndDependsOnItsKey) {
  const auto a = Permutation(1000, MakeKey(1, RandomUse::kShuffle, 0));
  const auto b = Permutation(1000, MakeKey(1, RandomUse::kShuffle, 1));
  EXPECT_EQ(std::set<int64_t>(a.begin(), a.end()).size(), 1000u);
  EXPECT_NE(a, b);
  EXPECT_EQ(a, Permutation(1000, MakeKey(1, RandomUse::kShuffle, 0)));
}

}  // namespace
}  // namespace retort
