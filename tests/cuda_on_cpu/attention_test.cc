// SPDX-License-Identifier: Apache-2.0
// What the table of cases cannot say of CUDA's attention: results of a sequence have the same bits
// with any neighbours, and in any chunks of many queries; plans are of their device.
#include <gtest/gtest.h>

#include "base/random.h"
#include "tensor/cuda/cuda_backend.h"

namespace retort {
namespace {

constexpr int kHeads = 4, kKvHeads = 2, kBlock = 16;
constexpr int64_t kKeys = 640;  // of the pool

// A sequence's chunk of queries, and its blocks of keys in the pool.
struct Chunk {
  int first_position, queries, first_block_row;
};

struct Attended {
  std::vector<float> out, log_sum;  // of the last chunk
};

class CudaAttentionTest : public testing::TestWithParam<std::tuple<Compute, int, int>> {
 protected:
  // Attends with chunks of queries, which are those of `q` from their position on. The blocks of a
  // sequence hold the rows of `keys` from its first on, wherever they are.
  Attended Attend(const std::vector<Chunk>& chunks) {
    const auto [compute, dim, window] = GetParam();
    cuda::CudaBackend backend(0, 1, compute);
    AttentionLayout layout;
    layout.block_size = kBlock;
    std::vector<float> queries, keys(static_cast<size_t>(kKeys * kKvHeads * dim));
    int tokens = 0;
    for (const Chunk& c : chunks) {
      layout.runs.push_back(
          {tokens, c.queries, c.first_position, static_cast<int32_t>(layout.block_rows.size())});
      const int length = c.first_position + c.queries;
      for (int row = 0; row < length; row += kBlock) {
        layout.block_rows.push_back(c.first_block_row + row);
      }
      Append(queries, c.first_position, c.queries, kHeads * dim, 1);
      std::vector<float> rows;
      Append(rows, 0, length, kKvHeads * dim, 2);
      std::ranges::copy(rows, keys.begin() + c.first_block_row * kKvHeads * dim);
      tokens += c.queries;
    }
    const Tensor q = backend.FromFloats(queries, {tokens, kHeads * dim});
    const Tensor k = backend.FromFloats(keys, {kKeys, kKvHeads * dim});
    Tensor out = backend.New(q.shape()), log_sum = backend.New({tokens, kHeads});
    const AttentionShape shape{kHeads, kKvHeads, dim, 0.2f, 0, window};
    backend.Attention(shape, *backend.Plan(layout), q, k, k, out, log_sum);
    const std::vector<float> all = backend.ToFloats(out), sums = backend.ToFloats(log_sum);
    const int64_t last = chunks.back().queries;
    return {{all.end() - last * kHeads * dim, all.end()}, {sums.end() - last * kHeads, sums.end()}};
  }

 private:
  static void Append(std::vector<float>& to, int first, int rows, int cols, uint64_t seed) {
    RandomStream random(MakeKey(seed, RandomUse::kData));
    for (int i = 0; i < (first + rows) * cols; ++i) {
      const auto value = static_cast<float>(random.Normal());
      if (i >= first * cols) to.push_back(value);
    }
  }
};

TEST_P(CudaAttentionTest, HasTheSameBitsWithAnyNeighbours) {
  for (const Chunk& c : {Chunk{130, 1, 0}, {300, 2, 0}, {0, 70, 0}, {40, 33, 0}}) {
    const Attended alone = Attend({c});
    const Attended among =
        Attend({{0, 90, 0}, {200, 1, 0}, {5, 3, 320}, {c.first_position, c.queries, 336}});
    EXPECT_EQ(alone.out, among.out) << c.queries;
    EXPECT_EQ(alone.log_sum, among.log_sum) << c.queries;
  }
}

TEST_P(CudaAttentionTest, HasTheSameBitsInAnyChunks) {
  const Attended whole = Attend({{0, 100, 0}});
  const Attended chunk = Attend({{63, 37, 0}});
  EXPECT_TRUE(std::equal(chunk.out.rbegin(), chunk.out.rend(), whole.out.rbegin()));
  EXPECT_TRUE(std::equal(chunk.log_sum.rbegin(), chunk.log_sum.rend(), whole.log_sum.rbegin()));
}

INSTANTIATE_TEST_SUITE_P(Kernels, CudaAttentionTest,
                         testing::Combine(testing::Values(Compute::kF32, Compute::kAuto),
                                          testing::Values(16, 20), testing::Values(0, 48)));

TEST(CudaAttentionPlan, IsOfItsDevice) {
  cuda::CudaBackend backend(0, 1, Compute::kF32);
  const AttentionLayout layout{{{0, 1, 0, 0}}, {0}, 1};
  Tensor x = backend.Zeros({1, 8}), log_sum = backend.New({1, 1});
  const AttentionShape shape{1, 1, 8, 1};
  EXPECT_NO_THROW(backend.Attention(shape, *backend.Plan(layout), x, x, x, x, log_sum));
  EXPECT_THROW(backend.Attention(shape, *MakeReferenceBackend()->Plan(layout), x, x, x, x, log_sum),
               Error);
}

TEST(CudaAttentionPlan, IsUsedAgainWhenNobodyHoldsIt) {
  cuda::CudaBackend backend(0, 1, Compute::kF32);
  const AttentionLayout layout{{{0, 1, 0, 0}}, {0}, 1};
  const AttentionPlan* first = backend.Plan(layout).get();
  const auto held = backend.Plan(layout);
  EXPECT_EQ(held.get(), first);
  EXPECT_NE(backend.Plan(layout), held);
}

}  // namespace
}  // namespace retort
