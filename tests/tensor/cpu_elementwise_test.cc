// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/loops.h"
#include "tests/tensor/cpu_support.h"

namespace retort {
namespace {

struct ExpKernel {
  template <int W>
  RETORT_INLINE static void Run(const float* x, float* y, int64_t n) {
    for (int64_t i = 0; i < n; i += W) Store<W>(y + i, Exp<W>(Load<W>(x + i)));
  }
};

TEST(CpuSimd, ExpIsRightToOneUlpAndAtItsLimits) {
  std::vector<float> x;
  for (double v = -105; v < 90; v += 0.00171) x.push_back(static_cast<float>(v));
  for (double v = -1; v < 1; v += 1e-5) x.push_back(static_cast<float>(v));
  x.insert(x.end(), {0, -0.0f, 1e-30f, 88.7228f, 88.7229f, -87.4f, -103.9f, -104.1f, 1e30f, -1e30f,
                     INFINITY, -INFINITY, NAN});
  while (x.size() % 16) x.push_back(0);
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > HostIsa()) continue;
    std::vector<float> y(x.size());
    CallSimd<ExpKernel>(isa, x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp(static_cast<double>(x[i]));
      const auto nearest = static_cast<float>(exact);
      if (std::isnan(x[i])) {
        EXPECT_TRUE(std::isnan(y[i]));
      } else if (std::isinf(nearest)) {
        EXPECT_EQ(y[i], nearest) << x[i];
      } else {
        const double ulp = std::nextafter(nearest, INFINITY) - static_cast<double>(nearest);
        EXPECT_LE(std::abs(y[i] - exact), 1.1 * ulp) << x[i];
      }
    }
  }
}

struct TanhKernel {
  template <int W>
  RETORT_INLINE static void Run(const float* x, float* y, int64_t n) {
    for (int64_t i = 0; i < n; i += W) Store<W>(y + i, Tanh<W>(Load<W>(x + i)));
  }
};
struct ErfKernel {
  template <int W>
  RETORT_INLINE static void Run(const float* x, float* y, int64_t n) {
    for (int64_t i = 0; i < n; i += W) Store<W>(y + i, Erf<W>(Load<W>(x + i)));
  }
};

// Of both signs: the range in which the function bends in steps of 2e-5, small values, and where
// the pieces meet.
std::vector<float> SigmoidGrid() {
  std::vector<float> x;
  for (double v = 1e-5; v < 10; v += 2e-5) x.push_back(static_cast<float>(v));
  for (double v = 1e-37; v < 1e-5; v *= 1.01) x.push_back(static_cast<float>(v));
  for (const float seam : {0.625f, 1.0f}) {
    for (float v = seam - 1e-5f; v < seam + 1e-5f; v = std::nextafter(v, 9.0f)) x.push_back(v);
  }
  x.insert(x.end(), {0, 44.4f, 44.5f, 90, 1e10f, 1e30f, INFINITY});
  while (x.size() % 16) x.push_back(0);
  const size_t half = x.size();
  for (size_t i = 0; i < half; ++i) x.push_back(-x[i]);
  return x;
}

// `exact` in double; the sign of zeros is kept, and NaN.
template <class Kernel>
void ExpectTwoUlp(double (*exact)(double)) {
  std::vector<float> x = SigmoidGrid();
  x.resize(x.size() + 16, NAN);
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > HostIsa()) continue;
    std::vector<float> y(x.size());
    CallSimd<Kernel>(isa, x.data(), y.data(), static_cast<int64_t>(x.size()));
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(x[i])) {
        EXPECT_TRUE(std::isnan(y[i]));
        continue;
      }
      const double want = exact(static_cast<double>(x[i]));
      const auto nearest = static_cast<float>(std::abs(want));
      const double ulp = std::nextafter(nearest, INFINITY) - static_cast<double>(nearest);
      worst = std::max(worst, std::abs(y[i] - want) / ulp);
      ASSERT_EQ(std::signbit(y[i]), std::signbit(x[i])) << x[i];
      ASSERT_LE(std::abs(y[i]), 1) << x[i];
    }
    EXPECT_LE(worst, 2) << "isa " << static_cast<int>(isa);
    testing::Test::RecordProperty(Cat("worst_ulp_isa", static_cast<int>(isa)), Cat(worst));
  }
}
TEST(CpuSimd, TanhIsRightToTwoUlp) { ExpectTwoUlp<TanhKernel>(std::tanh); }
TEST(CpuSimd, ErfIsRightToTwoUlp) { ExpectTwoUlp<ErfKernel>(std::erf); }

struct WidenKernel {
  template <int W, class T>
  RETORT_INLINE static void Run(const T* x, float* y) {
    for (int64_t i = 0; i < 65536; i += W) Store<W>(y + i, Load<W>(x + i));
  }
};

template <class T>
void ExpectAllWiden() {
  std::vector<T> x(65536);
  for (size_t i = 0; i < x.size(); ++i) x[i].bits = static_cast<uint16_t>(i);
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > HostIsa()) continue;
    std::vector<float> y(x.size());
    CallSimd<WidenKernel>(isa, static_cast<const T*>(x.data()), y.data());
    for (size_t i = 0; i < x.size(); ++i) {
      const float expected = ToFloat(x[i]);
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(y[i])) << i;
      } else {
        EXPECT_EQ(std::bit_cast<uint32_t>(y[i]), std::bit_cast<uint32_t>(expected)) << i;
      }
    }
  }
}

TEST(CpuSimd, WidensEveryHalf) { ExpectAllWiden<F16>(); }
TEST(CpuSimd, WidensEveryBF16) { ExpectAllWiden<BF16>(); }

TEST(CpuElementwise, AddsScalesAndFills) {
  const int64_t n = 40003;  // three pieces and a part of a vector
  const std::vector<float> a = RandomFloats(n, 1), b = RandomFloats(n, 2);
  ForCpuBackends([&](CpuBackend& cpu) {
    Tensor x = cpu.FromFloats(a, {n}), y = cpu.FromFloats(b, {n}), out = cpu.Zeros({n});
    for (float v : cpu.ToFloats(out)) EXPECT_EQ(v, 0);
    cpu.Add(x, y, out);
    cpu.Accumulate(x, out);
    cpu.Scale(out, 0.5f);
    const std::vector<float> result = cpu.ToFloats(out);
    for (size_t i = 0; i < result.size(); ++i) EXPECT_EQ(result[i], ((a[i] + b[i]) + a[i]) * 0.5f);
    return result;
  });
}

TEST(CpuElementwise, AddsABiasAndSumsItsGradient) {
  const int64_t rows = 331, cols = 147;
  const std::vector<float> y = RandomFloats(rows * cols, 3), bias = RandomFloats(cols, 4);
  std::vector<double> expected(bias.begin(), bias.end());
  for (size_t i = 0; i < y.size(); ++i) expected[i % cols] += y[i];
  ForCpuBackends([&](CpuBackend& cpu) {
    Tensor t = cpu.FromFloats(y, {rows, cols}), b = cpu.FromFloats(bias, {cols});
    cpu.BiasGrad(t, b);
    const std::vector<float> sums = cpu.ToFloats(b);
    EXPECT_LT(RelativeError(sums, expected), 1e-6);
    cpu.AddBias(t, cpu.FromFloats(bias, {cols}));
    const std::vector<float> sum = cpu.ToFloats(t);
    for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(sum[i], y[i] + bias[i % cols]);
    return sums;
  });
}

TEST(CpuElementwise, GatesAndTheirGradient) {
  const int64_t n = 20011;
  std::vector<float> gate = RandomFloats(n, 5, 4), up = RandomFloats(n, 6), dy = RandomFloats(n, 7);
  gate[0] = 100, gate[1] = -100, gate[2] = 0, gate[3] = -88;
  std::vector<double> y, dgate, dup;
  for (size_t i = 0; i < gate.size(); ++i) {
    const double z = gate[i], s = 1 / (1 + std::exp(-z));
    y.push_back(z * s * up[i]);
    dup.push_back(dy[i] * z * s);
    dgate.push_back(dy[i] * up[i] * (s + z * s * (1 - s)));
  }
  ForCpuBackends([&](CpuBackend& cpu) {
    const Tensor g = cpu.FromFloats(gate, {n}), u = cpu.FromFloats(up, {n}),
                 d = cpu.FromFloats(dy, {n});
    Tensor out = cpu.New({n}), dg = cpu.New({n}), du = cpu.New({n});
    cpu.GatedActivation(Activation::kSilu, g, u, out);
    for (Tensor* overwritten : {&dg, &du}) cpu.Fill(*overwritten, 7);
    cpu.GatedActivationGrad(Activation::kSilu, d, g, u, dg, du);
    std::vector<float> result = cpu.ToFloats(out);
    EXPECT_LT(RelativeError(result, y), 2e-7);
    EXPECT_LT(RelativeError(cpu.ToFloats(dg), dgate), 5e-7);  // a chain of eight roundings
    EXPECT_LT(RelativeError(cpu.ToFloats(du), dup), 2e-7);
    Append(result, cpu.ToFloats(dg));
    Append(result, cpu.ToFloats(du));
    return result;
  });
}

TEST(CpuDropout, KeepsExactlyTheWordsItsContractNames) {
  const int64_t rows = 5, cols = 203;
  const std::vector<float> x = RandomFloats(rows * cols, 8), before = RandomFloats(rows * cols, 9);
  const std::vector<int64_t> row_index = {7, 7, 1'000'000'000'000, 0, 3};
  const std::vector<int32_t> row_token = {0, 1, 5, 0, 2047};
  constexpr uint64_t kSeed = 0x123456789abcdef0;
  const double rate = 0.3f;
  std::vector<float> expected, gradient;
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t t = i / cols;
    const auto c = static_cast<uint32_t>(i % cols);
    const PhiloxKey key = MakeKey(kSeed, RandomUse::kDropout, static_cast<uint64_t>(row_index[t]));
    const uint32_t word = Philox({static_cast<uint32_t>(row_token[t]), c / 4, 0, 0}, key)[c % 4];
    const float kept = word >= rate * 0x1p32 ? x[i] * static_cast<float>(1 / (1 - rate)) : 0;
    expected.push_back(kept);
    gradient.push_back(before[i] + kept);
  }
  ForCpuBackends([&](CpuBackend& cpu) {
    const Tensor in = cpu.FromFloats(x, {rows, cols});
    Tensor y = cpu.New({rows, cols}), dx = cpu.FromFloats(before, {rows, cols});
    const DropoutMask mask{0.3f, kSeed, cpu.Upload(row_index), cpu.Upload(row_token)};
    cpu.Dropout(in, mask, y);
    cpu.DropoutGrad(in, mask, dx);
    std::vector<float> result = cpu.ToFloats(y);
    EXPECT_EQ(result, expected);
    EXPECT_LT(RelativeError(cpu.ToFloats(dx), {gradient.begin(), gradient.end()}), 1e-7);
    return result;
  });
}

TEST(CpuDropout, DropsItsShareAndNothingAtRateZero) {
  const int64_t rows = 256, cols = 1024;
  std::vector<int64_t> row_index(rows, 4);
  std::vector<int32_t> row_token(rows);
  for (size_t t = 0; t < row_token.size(); ++t) row_token[t] = static_cast<int32_t>(t);
  CpuBackend cpu(2, Compute::kF32);
  Tensor x = cpu.New({rows, cols}), y = cpu.New({rows, cols});
  cpu.Fill(x, 1);
  for (const float rate : {0.0f, 0.05f, 0.5f, 0.9f}) {
    cpu.Dropout(x, {rate, 99, cpu.Upload(row_index), cpu.Upload(row_token)}, y);
    double sum = 0, kept = 0;
    for (float v : cpu.ToFloats(y)) sum += v, kept += v != 0;
    const double n = rows * cols, expected = 1 - static_cast<double>(rate);
    EXPECT_NEAR(kept / n, expected, 5 * std::sqrt(rate * expected / n)) << rate;
    EXPECT_NEAR(sum / kept, 1 / expected, 1e-6) << rate;
  }
}

}  // namespace
}  // namespace retort
