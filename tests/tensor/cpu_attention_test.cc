// SPDX-License-Identifier: Apache-2.0
// Attention against plain loops in double, for all layouts of a batch.
#include "tests/tensor/cpu_support.h"

namespace retort {
namespace {

struct Run {
  int32_t queries, first_position;
};
struct Case {
  const char* name;
  AttentionShape shape;
  std::vector<Run> runs;
  int32_t block_size;
  double spread = 1;  // of queries and keys
  DType cache = DType::kF32;
};

// A batch with a token that no run covers before each run, and blocks in a shuffled order.
struct Batch {
  AttentionLayout layout;
  int64_t tokens = 0, key_rows = 0;
  std::vector<float> q, keys, values, dout;

  explicit Batch(const Case& c) {
    layout.block_size = c.block_size;
    int32_t blocks = 0;
    for (const Run& run : c.runs) {
      ++tokens;
      layout.runs.push_back(
          {static_cast<int32_t>(tokens), run.queries, run.first_position, blocks});
      tokens += run.queries;
      blocks += (run.first_position + run.queries + c.block_size - 1) / c.block_size;
    }
    for (const int64_t block : Permutation(blocks, MakeKey(5, RandomUse::kData))) {
      layout.block_rows.push_back(static_cast<int32_t>(block * c.block_size));
    }
    key_rows = int64_t{blocks} * c.block_size;
    q = RandomFloats(tokens * c.shape.heads * c.shape.head_dim, 1, c.spread);
    keys = RandomFloats(key_rows * c.shape.kv_heads * c.shape.head_dim, 2, c.spread);
    values = RandomFloats(key_rows * c.shape.kv_heads * c.shape.head_dim, 3);
    dout = RandomFloats(static_cast<int64_t>(q.size()), 4);
    // What the cache can hold, so that both sides start from the same numbers.
    for (std::vector<float>* x : {&keys, &values}) {
      for (float& v : *x) {
        if (c.cache == DType::kF16) v = ToFloat(ToF16(v));
        if (c.cache == DType::kBF16) v = ToFloat(ToBF16(v));
      }
    }
  }
};

constexpr double kUntouched = 0.5;

struct Expected {
  std::vector<double> out, log_sum, dq, dkeys, dvalues;
};

Expected PlainAttention(const Case& c, const Batch& b) {
  const int64_t H = c.shape.heads, K = c.shape.kv_heads, D = c.shape.head_dim;
  const double scale = c.shape.scale, cap = c.shape.soft_cap;
  Expected e;
  e.out.assign(b.q.size(), kUntouched);
  e.dq = e.out;
  e.log_sum.assign(static_cast<size_t>(b.tokens * H), kUntouched);
  e.dkeys.assign(b.keys.size(), kUntouched);
  e.dvalues = e.dkeys;
  for (const AttentionRun& run : b.layout.runs) {
    for (int64_t i = 0; i < run.queries; ++i) {
      const int64_t position = run.first_position + i;
      const int64_t window = c.shape.window,
                    first = window ? std::max<int64_t>(0, position - window + 1) : 0;
      for (int64_t h = 0; h < H; ++h) {
        const int64_t at = ((run.first_query + i) * H + h) * D;
        const auto key_at = [&](int64_t p) {
          const int64_t block =
              b.layout.block_rows[static_cast<size_t>(run.first_block + p / c.block_size)];
          return ((block + p % c.block_size) * K + h / (H / K)) * D;
        };
        const auto dot = [&](const std::vector<float>& x, int64_t xi, const std::vector<float>& y,
                             int64_t yi) {
          double sum = 0;
          for (int64_t d = 0; d < D; ++d)
            sum += static_cast<double>(x[static_cast<size_t>(xi + d)]) *
                   y[static_cast<size_t>(yi + d)];
          return sum;
        };
        std::vector<double> p, slope;
        double most = -1e300, sum = 0;
        for (int64_t k = first; k <= position; ++k) {
          const double score = scale * dot(b.q, at, b.keys, key_at(k));
          p.push_back(cap > 0 ? cap * std::tanh(score / cap) : score);
          slope.push_back(cap > 0 ? 1 / std::pow(std::cosh(score / cap), 2) : 1);
          most = std::max(most, p.back());
        }
        for (double& v : p) sum += v = std::exp(v - most);
        e.log_sum[static_cast<size_t>((run.first_query + i) * H + h)] = most + std::log(sum);
        double* out = &e.out[static_cast<size_t>(at)];
        std::fill(out, out + D, 0.0);
        double delta = 0;
        for (int64_t k = first; k <= position; ++k) {
          double& weight = p[static_cast<size_t>(k - first)];
          weight /= sum;
          for (int64_t d = 0; d < D; ++d)
            out[d] += weight * b.values[static_cast<size_t>(key_at(k) + d)];
          delta += weight * dot(b.dout, at, b.values, key_at(k));
        }
        for (int64_t k = first; k <= position; ++k) {
          const double weight = p[static_cast<size_t>(k - first)];
          const double ds = weight * (dot(b.dout, at, b.values, key_at(k)) - delta) * scale *
                            slope[static_cast<size_t>(k - first)];
          for (int64_t d = 0; d < D; ++d) {
            const auto qi = static_cast<size_t>(at + d), ki = static_cast<size_t>(key_at(k) + d);
            e.dvalues[ki] += weight * b.dout[qi];
            e.dkeys[ki] += ds * b.q[qi];
            e.dq[qi] += ds * b.keys[ki];
          }
        }
      }
    }
  }
  return e;
}

// Rows of floats as they are, as in training; those of other types in pages.
Tensor KeysOf(CpuBackend& cpu, const Case& c, const std::vector<float>& x, int64_t rows) {
  const Tensor plain = cpu.FromFloats(x, {rows, static_cast<int64_t>(x.size()) / rows});
  if (c.cache == DType::kF32) return plain;
  Tensor pages =
      cpu.New({rows / c.block_size, c.shape.kv_heads, c.block_size, c.shape.head_dim}, c.cache);
  std::vector<int32_t> order;
  for (int64_t r = 0; r < rows; ++r) order.push_back(static_cast<int32_t>(r));
  cpu.StoreRows(plain, cpu.Upload(order), pages);
  return pages;
}

class CpuAttention : public testing::TestWithParam<Case> {};

TEST_P(CpuAttention, MatchesDoubles) {
  const Case& c = GetParam();
  const Batch b(c);
  const Expected expected = PlainAttention(c, b);
  const int64_t width = int64_t{c.shape.heads} * c.shape.head_dim;
  // Scores, and their sum's logarithm, are rounded in proportion to their size, and that becomes
  // the relative error of their exponentials.
  const double tolerance = c.spread > 1 ? 5e-5 : 2e-6;
  ForCpuBackends([&](CpuBackend& cpu) {
    const Tensor q = cpu.FromFloats(b.q, {b.tokens, width});
    const Tensor keys = KeysOf(cpu, c, b.keys, b.key_rows),
                 values = KeysOf(cpu, c, b.values, b.key_rows);
    Tensor out = cpu.New(q.shape()), log_sum = cpu.New({b.tokens, c.shape.heads});
    cpu.Fill(out, kUntouched);
    cpu.Fill(log_sum, kUntouched);
    const AttentionShape& shape = c.shape;
    const auto plan = cpu.Plan(b.layout);
    cpu.Attention(shape, *plan, q, keys, values, out, log_sum);
    std::vector<float> result = cpu.ToFloats(out);
    EXPECT_LT(RelativeError(result, expected.out), tolerance);
    EXPECT_LT(RelativeError(cpu.ToFloats(log_sum), expected.log_sum), tolerance);
    Append(result, cpu.ToFloats(log_sum));
    if (c.cache != DType::kF32) return result;

    const Tensor dout = cpu.FromFloats(b.dout, q.shape());
    Tensor dq = cpu.New(q.shape()), dkeys = cpu.New(keys.shape()), dvalues = cpu.New(keys.shape());
    for (Tensor* x : {&dq, &dkeys, &dvalues}) cpu.Fill(*x, kUntouched);
    cpu.AttentionGrad(shape, *plan, dout, q, keys, values, out, log_sum, dq, dkeys, dvalues);
    EXPECT_LT(RelativeError(cpu.ToFloats(dq), expected.dq), tolerance);
    EXPECT_LT(RelativeError(cpu.ToFloats(dkeys), expected.dkeys), tolerance);
    EXPECT_LT(RelativeError(cpu.ToFloats(dvalues), expected.dvalues), tolerance);
    for (const Tensor* x : {&dq, &dkeys, &dvalues}) Append(result, cpu.ToFloats(*x));
    return result;
  });
}

AttentionShape Heads(int heads, int kv_heads, int dim, int window = 0, float soft_cap = 0) {
  return {heads,    kv_heads, dim, static_cast<float>(1 / std::sqrt(static_cast<double>(dim))),
          soft_cap, window};
}

const std::vector<Run> kRows = {{100, 0}, {1, 0}, {37, 0}, {130, 0}};
const std::vector<Run> kMixed = {{1, 0}, {1, 150}, {3, 61}, {70, 64}, {1, 64}, {0, 0}, {2, 0}};

INSTANTIATE_TEST_SUITE_P(
    Layouts, CpuAttention,
    testing::Values(
        Case{"Training", Heads(9, 3, 64), kRows, 512}, Case{"OneHead", Heads(1, 1, 16), kRows, 512},
        Case{"ManyQueriesAKey", Heads(8, 1, 32), kRows, 512},
        Case{"MoreHeadsThanATileHasRows", Heads(71, 1, 8), {{5, 0}, {1, 70}}, 128},
        Case{"Wide", Heads(4, 2, 128), {{90, 0}}, 128},
        Case{"OddWidth", Heads(4, 2, 20), kMixed, 7}, Case{"Narrow", Heads(6, 3, 8), kMixed, 16},
        Case{"TinyWidth", Heads(2, 1, 2), kMixed, 16},
        Case{"Window", Heads(6, 2, 16, 33), {{200, 0}, {1, 99}, {40, 111}}, 512},
        Case{"WindowOfOne", Heads(2, 2, 16, 1), {{70, 0}, {1, 70}}, 16},
        Case{"WindowInBlocks", Heads(4, 2, 64, 64), {{150, 70}, {1, 200}}, 32},
        Case{"BlocksOfOne", Heads(4, 2, 64), kMixed, 1},
        Case{"Blocks", Heads(8, 2, 64), kMixed, 16},
        Case{"LargeScores", Heads(4, 2, 64), kMixed, 16, 8},
        Case{"HalfCache", Heads(8, 2, 64), kMixed, 32, 1, DType::kF16},
        Case{"HalfCacheOddWidth", Heads(4, 2, 20, 21), kMixed, 32, 1, DType::kF16},
        Case{"BrainCache", Heads(6, 2, 128), kMixed, 32, 1, DType::kBF16},
        Case{"BrainCacheOddWidth", Heads(6, 2, 12), kMixed, 5, 1, DType::kBF16},
        Case{"SoftCap", Heads(9, 3, 64, 0, 1.5f), kRows, 512},
        Case{"SoftCapOddWidth", Heads(4, 2, 20, 0, 0.7f), kMixed, 7},
        Case{"SoftCapOfLargeScores", Heads(4, 2, 64, 0, 30), kMixed, 16, 8},
        Case{"SoftCapAndWindow", Heads(6, 2, 16, 33, 1), {{200, 0}, {1, 99}, {40, 111}}, 512},
        Case{"SoftCapHalfCache", Heads(8, 2, 64, 21, 1), kMixed, 32, 1, DType::kF16}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(CpuAttentionLayout, RefusesBlocksOutsideTheKeys) {
  CpuBackend cpu(1, Compute::kF32);
  const AttentionShape shape = Heads(2, 1, 8);
  Tensor q = cpu.Zeros({4, 16}), keys = cpu.Zeros({8, 8}), out = cpu.New({4, 16}),
         log_sum = cpu.New({4, 2});
  const auto attend = [&](AttentionLayout layout) {
    cpu.Attention(shape, *cpu.Plan(layout), q, keys, keys, out, log_sum);
  };
  EXPECT_NO_THROW(attend({{{0, 4, 4, 0}}, {4, 0}, 4}));
  EXPECT_THROW(attend({{{0, 4, 5, 0}}, {4, 0}, 4}), Error);  // a third block is missing
  EXPECT_THROW(attend({{{0, 4, 4, 0}}, {0, 5}, 4}), Error);  // the second ends beyond row 8
  EXPECT_THROW(attend({{{1, 4, 0, 0}}, {4, 0}, 4}), Error);  // a fifth query
  EXPECT_THROW(attend({{{0, 4, 4, 0}}, {4, -4}, 4}), Error);
  keys = cpu.Zeros({2, 1, 4, 8});  // two pages
  EXPECT_NO_THROW(attend({{{0, 4, 4, 0}}, {4, 0}, 4}));
  EXPECT_THROW(attend({{{0, 2, 4, 0}}, {4, 2}, 4}), Error);  // a block within a page
  EXPECT_THROW(attend({{{0, 4, 0, 0}}, {0, 2}, 2}), Error);  // blocks of half a page
  keys = cpu.Zeros({1, 2, 4, 8});
  EXPECT_THROW(attend({{{0, 4, 0, 0}}, {0}, 4}), Error);  // of two heads
}

TEST(CpuAttentionMemory, NeverHoldsTokensByTokens) {
  CpuBackend cpu(1, Compute::kF32);
  const int64_t tokens = 3000;
  const AttentionShape shape = Heads(2, 1, 8);
  const auto plan = cpu.Plan({{{0, static_cast<int32_t>(tokens), 0, 0}}, {0}, 4096});
  Tensor q = cpu.Zeros({tokens, 16}), keys = cpu.Zeros({tokens, 8}), out = cpu.New({tokens, 16});
  Tensor log_sum = cpu.New({tokens, 2}), dq = cpu.Zeros({tokens, 16}), dk = cpu.Zeros({tokens, 8}),
         dv = cpu.Zeros({tokens, 8});
  const int64_t before = cpu.memory().live_bytes();
  cpu.memory().ResetPeak();
  cpu.Attention(shape, *plan, q, keys, keys, out, log_sum);
  cpu.AttentionGrad(shape, *plan, q, q, keys, keys, out, log_sum, dq, dk, dv);
  EXPECT_LT(cpu.memory().peak_bytes() - before, 256 << 10);
}

}  // namespace
}  // namespace retort
