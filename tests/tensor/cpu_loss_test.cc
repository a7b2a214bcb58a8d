// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "tests/tensor/cpu_support.h"

namespace retort {
namespace {

struct Losses {
  std::vector<double> losses, gradient;
};

Losses PlainCrossEntropy(const std::vector<float>& logits, const std::vector<int32_t>& targets,
                         int64_t cols, double scale) {
  Losses result;
  for (size_t i = 0; i < targets.size(); ++i) {
    const float* row = logits.data() + static_cast<int64_t>(i) * cols;
    const double most = *std::max_element(row, row + cols);
    double sum = 0;
    for (int64_t c = 0; c < cols; ++c) sum += std::exp(row[c] - most);
    result.losses.push_back(std::log(sum) + most - row[targets[i]]);
    for (int64_t c = 0; c < cols; ++c) {
      result.gradient.push_back(scale * (std::exp(row[c] - most) / sum - (c == targets[i])));
    }
  }
  return result;
}

TEST(CpuCrossEntropy, MatchesDoublesWithAndWithoutGradient) {
  const int64_t cols = 20011;
  const std::vector<int32_t> targets = {0, 20010, 77, 9, 9, 4096};
  const auto rows = static_cast<int64_t>(targets.size());
  std::vector<float> logits = RandomFloats(rows * cols, 1, 5);
  logits[2 * cols + 77] = 60;  // certain, and right
  for (int64_t c = 0; c < cols; ++c)
    logits[static_cast<size_t>(3 * cols + c)] += 3e4f;  // far from 0
  logits[4 * cols + 500] = 1e4f;                        // certain, and wrong by 1e4
  logits[5 * cols + 3] = -std::numeric_limits<float>::infinity();
  const float scale = 0.125f;
  const Losses expected = PlainCrossEntropy(logits, targets, cols, scale);
  ForCpuBackends([&](CpuBackend& cpu) {
    Tensor x = cpu.FromFloats(logits, {rows, cols});
    const Tensor wanted = cpu.Upload(targets);
    Tensor filled = cpu.New({rows}, DType::kF64);
    cpu.CrossEntropy(x, wanted, {}, 0, filled);
    EXPECT_EQ(cpu.ToFloats(x), logits);
    const std::vector<double> without = cpu.ToDoubles(filled);
    cpu.CrossEntropy(x, wanted, cpu.Upload(std::vector<float>(targets.size(), scale)), 0, filled);
    const std::vector<double> losses = cpu.ToDoubles(filled);
    EXPECT_EQ(losses, without);
    for (size_t i = 0; i < losses.size(); ++i) {
      EXPECT_NEAR(losses[i], expected.losses[i], 2e-6 * (1 + std::abs(expected.losses[i]))) << i;
    }
    const std::vector<float> gradient = cpu.ToFloats(x);
    EXPECT_LT(RelativeError(gradient, expected.gradient), 5e-7);
    for (int64_t i = 0; i < rows; ++i) {
      double sum = 0;
      for (int64_t c = 0; c < cols; ++c) sum += gradient[static_cast<size_t>(i * cols + c)];
      EXPECT_NEAR(sum, 0, 1e-6) << i;
    }
    return gradient;
  });
}

TEST(CpuCrossEntropy, LetsNansThroughAndRefusesForeignTargets) {
  CpuBackend cpu(1, Compute::kF32);
  Tensor loss = cpu.New({1}, DType::kF64);
  const Tensor one = cpu.Upload(std::vector<float>{1});
  for (const int64_t at : {0, 17, 36}) {
    std::vector<float> logits(37, 1.0f);
    logits[static_cast<size_t>(at)] = NAN;
    Tensor x = cpu.FromFloats(logits, {1, 37});
    cpu.CrossEntropy(x, cpu.Upload(std::vector<int32_t>{5}), one, 0, loss);
    EXPECT_TRUE(std::isnan(cpu.ToDoubles(loss)[0])) << at;
  }
  Tensor x = cpu.Zeros({1, 37});
  EXPECT_THROW(cpu.CrossEntropy(x, cpu.Upload(std::vector<int32_t>{37}), one, 0, loss), Error);
  EXPECT_THROW(cpu.CrossEntropy(x, cpu.Upload(std::vector<int32_t>{-100}), one, 0, loss), Error);
}

TEST(CpuOptimizer, SumsSquaresInDouble) {
  const std::vector<float> x = RandomFloats(100003, 2, 1e-3);
  double expected = 0;
  for (const float v : x) expected += static_cast<double>(v) * v;
  ForCpuBackends([&](CpuBackend& cpu) {
    Tensor filled = cpu.Upload(std::vector<double>{0});
    cpu.SumSquares(cpu.FromFloats(x, {100003}), filled);
    const double sum = cpu.ToDoubles(filled)[0];
    EXPECT_NEAR(sum / expected, 1, 1e-13);
    const auto bits = std::bit_cast<std::array<float, 2>>(sum);
    return std::vector<float>(bits.begin(), bits.end());
  });
}

TEST(CpuOptimizer, AdamWFollowsItsFormulaForManySteps) {
  const int64_t n = 33001;
  const size_t count = static_cast<size_t>(n);
  const std::vector<float> start = RandomFloats(n, 3);
  // Gradients of very different sizes, and one that is always 0: only decay moves its parameter.
  const auto gradient = [&](int64_t step) {
    std::vector<float> g = RandomFloats(n, static_cast<uint64_t>(100 + step));
    for (size_t i = 0; i < count; ++i)
      g[i] *= static_cast<float>(std::pow(10.0, -static_cast<double>(i % 9)));
    g[5] = 0;
    return g;
  };
  const float lr = 1e-3f, beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f, decay = 1e-2f,
              grad_scale = 0.37f;
  std::vector<double> p(start.begin(), start.end()), m(count), v(count);
  for (int64_t t = 1; t <= 12; ++t) {
    const std::vector<float> g = gradient(t);
    const double c1 = 1 - std::pow(static_cast<double>(beta1), static_cast<double>(t));
    const double c2 = 1 - std::pow(static_cast<double>(beta2), static_cast<double>(t));
    for (size_t i = 0; i < count; ++i) {
      const double gi = static_cast<double>(g[i]) * grad_scale;
      m[i] = beta1 * m[i] + (1 - static_cast<double>(beta1)) * gi;
      v[i] = beta2 * v[i] + (1 - static_cast<double>(beta2)) * gi * gi;
      p[i] *= 1 - static_cast<double>(lr) * decay;
      p[i] -= lr * (m[i] / c1) / (std::sqrt(v[i] / c2) + epsilon);
    }
  }
  std::vector<double> moved(count);
  for (size_t i = 0; i < count; ++i) moved[i] = p[i] - start[i];
  ForCpuBackends([&](CpuBackend& cpu) {
    Tensor tp = cpu.FromFloats(start, {n}), tm = cpu.Zeros({n}), tv = cpu.Zeros({n});
    for (int64_t t = 1; t <= 12; ++t) {
      cpu.AdamW({lr, beta1, beta2, epsilon, decay, t}, cpu.Upload(std::vector<float>{grad_scale}),
                tp, cpu.FromFloats(gradient(t), {n}), tm, tv);
    }
    std::vector<float> result = cpu.ToFloats(tp), change = result;
    for (size_t i = 0; i < count; ++i) change[i] -= start[i];
    EXPECT_LT(RelativeError(result, p), 2e-7);
    EXPECT_LT(RelativeError(change, moved), 1e-4);  // twelve roundings of p against steps of 1e-3
    EXPECT_LT(RelativeError(cpu.ToFloats(tm), m), 1e-6);
    EXPECT_LT(RelativeError(cpu.ToFloats(tv), v), 1e-6);
    return result;
  });
}

}  // namespace
}  // namespace retort
