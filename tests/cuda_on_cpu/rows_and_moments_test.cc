// SPDX-License-Identifier: Apache-2.0
// What the table of kernel cases does not compare: bits, codes and stored pages against the CPU's,
// long lists of rows, long columns, and values that are not numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/random.h"
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/dynamic_map.h"

namespace retort {
namespace {

std::vector<float> Normal(int64_t count, uint64_t seed) {
  RandomStream random(MakeKey(seed, RandomUse::kData));
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = static_cast<float>(random.Normal());
  return values;
}

class OnBothTest : public testing::Test {
 protected:
  // result(backend) on the CPU and on the device, which must have the same bits.
  template <class Result>
  void ExpectSame(const Result& result) {
    EXPECT_EQ(result(cuda_), result(cpu_));
  }
  CpuBackend cpu_{1, Compute::kF32};
  cuda::CudaBackend cuda_{0, 1, Compute::kF32};
};

// Most rows are named once or twice, and one by every third entry.
TEST_F(OnBothTest, RowsNamedOftenAreAddedInTheirOrder) {
  constexpr int64_t kCount = 700, kRows = 500;
  std::vector<int32_t> rows(kCount);
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i] = i % 3 == 0 ? 7 : static_cast<int32_t>(i * 1237 % kRows);
  for (const int64_t cols : {1, 5, 8}) {
    ExpectSame([&](Backend& b) {
      Tensor out = b.FromFloats(Normal(kRows * cols, 1), {kRows, cols});
      b.ScatterAddRows(b.FromFloats(Normal(kCount * cols, 2), {kCount, cols}), b.Upload(rows), out);
      return b.ToFloats(out);
    });
  }
}

TEST_F(OnBothTest, RowsAreStoredInPages) {
  constexpr int64_t kHeads = 3, kPageRows = 4, kDim = 10, kPages = 5;
  std::vector<int32_t> rows(kPages * kPageRows);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int32_t>(i * 7 % rows.size());
  const Shape shape = {std::ssize(rows), kHeads * kDim};
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
    ExpectSame([&](Backend& b) {
      Tensor pages = b.New({kPages, kHeads, kPageRows, kDim}, type);
      b.StoreRows(b.FromFloats(Normal(shape.elements(), 3), shape), b.Upload(rows), pages);
      return b.ToDoubles(pages);
    });
  }
}

// The last block of 256 is not full, and one block has zero gradients from a zero state.
TEST_F(OnBothTest, MomentsInBytesHaveTheSameCodes) {
  constexpr int64_t kCount = 256 * 5 + 77;
  std::vector<float> gradient = Normal(kCount, 4);
  std::fill_n(gradient.begin() + 512, 256, 0.0f);
  ExpectSame([&](Backend& b) {
    const auto zeros = [&] {
      return ByteMoment{b.Upload(std::vector<uint8_t>(kCount)), b.Upload(std::vector<float>(6))};
    };
    ByteMoment m = zeros(), v = zeros();
    Tensor p = b.FromFloats(Normal(kCount, 5), {kCount});
    const Tensor g = b.FromFloats(gradient, {kCount}), factor = b.Upload(std::vector<float>{0.7f});
    for (int64_t step = 1; step <= 3; ++step)
      b.AdamWBytes({0.1f, 0.9f, 0.99f, 1e-8f, 0.01f, step}, factor, p, g, m, v);
    std::vector<float> all = b.ToFloats(p);
    for (const ByteMoment& moment : {m, v}) {
      for (const uint8_t code : b.ToHost<uint8_t>(moment.codes)) all.push_back(code);
      for (const float scale : b.ToFloats(moment.scales)) all.push_back(scale);
    }
    return all;
  });
}

// More rows than a block sums, in both kernels.
TEST_F(OnBothTest, LongColumnsAreSummed) {
  constexpr int64_t kRows = 1300, kCols = 40;
  const std::vector<float> dy = Normal(kRows * kCols, 7);
  Tensor sums = cuda_.FromFloats(std::vector<float>(kCols, 0.5f), {kCols});
  cuda_.BiasGrad(cuda_.FromFloats(dy, {kRows, kCols}), sums);
  const std::vector<float> got = cuda_.ToFloats(sums);
  for (size_t c = 0; c < got.size(); ++c) {
    double want = 0.5;
    for (size_t i = c; i < dy.size(); i += kCols) want += dy[i];
    EXPECT_NEAR(got[c], want, 1e-4) << c;
  }
}

TEST_F(OnBothTest, DifferentExpertsAreChosenFromAnyLogits) {
  constexpr int64_t kTokens = 4, kExperts = 40;
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> logits = Normal(kTokens * kExperts, 6);
  std::fill_n(logits.begin(), kExperts, kNaN);
  logits[kExperts + 3] = kNaN;
  std::fill_n(logits.begin() + 2 * kExperts, kExperts, 0.25f);
  for (const int used_groups : {2, 5}) {
    RouteRule rule{.used = 8, .groups = 5, .used_groups = used_groups};
    rule.score = RouteRule::Score::kSigmoid;
    Tensor scores = cuda_.New({kTokens, kExperts}), weights = cuda_.New({kTokens, 8});
    Tensor experts = cuda_.New({kTokens, 8}, DType::kI32);
    cuda_.Route(rule, cuda_.FromFloats(logits, {kTokens, kExperts}), scores, experts, weights);
    const std::vector<int32_t> chosen = cuda_.ToHost<int32_t>(experts);
    for (auto token = chosen.begin(); token != chosen.end(); token += 8) {
      const std::set<int32_t> different(token, token + 8);
      EXPECT_EQ(different.size(), 8u);
      EXPECT_TRUE(*different.begin() >= 0 && *different.rbegin() < kExperts);
    }
    const std::vector<int32_t> first_of_equals(chosen.begin() + 16, chosen.begin() + 24);
    EXPECT_EQ(first_of_equals, (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  }
}

}  // namespace
}  // namespace retort
