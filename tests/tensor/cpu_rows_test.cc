// SPDX-License-Identifier: Apache-2.0
#include "tests/tensor/cpu_support.h"

namespace retort {
namespace {

TEST(CpuRows, GathersAndScattersRepeatedRowsInOrder) {
  const int64_t cols = 517;
  const std::vector<int32_t> rows = {3, 0, 3, 3, 1};
  const std::vector<float> x = RandomFloats(4 * cols, 1), more = RandomFloats(5 * cols, 2);
  ForCpuBackends([&](CpuBackend& cpu) {
    const Tensor table = cpu.FromFloats(x, {4, cols});
    Tensor out = cpu.New({5, cols}), sum = cpu.FromFloats(x, {4, cols});
    cpu.GatherRows(table, cpu.Upload(rows), out);
    const std::vector<float> gathered = cpu.ToFloats(out);
    cpu.ScatterAddRows(cpu.FromFloats(more, {5, cols}), cpu.Upload(rows), sum);
    const std::vector<float> scattered = cpu.ToFloats(sum);
    std::vector<float> expected = x;
    for (size_t i = 0; i < more.size(); ++i) {
      const size_t row = static_cast<size_t>(rows[i / cols]), c = i % cols;
      EXPECT_EQ(gathered[i], x[row * cols + c]);
      expected[row * cols + c] += more[i];
    }
    EXPECT_EQ(scattered, expected);
    return scattered;
  });
}

TEST(CpuRows, RefusesRowsThatDoNotExist) {
  CpuBackend cpu(1, Compute::kF32);
  Tensor x = cpu.Zeros({4, 8}), out = cpu.Zeros({1, 8});
  for (const int32_t row : {-1, 4}) {
    EXPECT_THROW(cpu.GatherRows(x, cpu.Upload(std::vector{row}), out), Error);
    EXPECT_THROW(cpu.ScatterAddRows(out, cpu.Upload(std::vector{row}), x), Error);
    Tensor pages = cpu.Zeros({2, 1, 2, 8});
    EXPECT_THROW(cpu.StoreRows(out, cpu.Upload(std::vector{row}), pages), Error);
  }
  EXPECT_THROW(cpu.StoreRows(out, cpu.Upload(std::vector{0}), x), Error);  // no pages
}

TEST(CpuRows, RefusesColumnsAndPlacesThatDoNotExist) {
  CpuBackend cpu(1, Compute::kF32);
  Tensor x = cpu.Zeros({4, 8}), part = cpu.Zeros({4, 3}), weights = cpu.Zeros({2, 2}),
         out = cpu.Zeros({5, 8});
  for (const int64_t begin : {-1, 6}) {
    EXPECT_THROW(cpu.CopyColumns(x, begin, part), Error);
    EXPECT_THROW(cpu.AddColumns(part, begin, x), Error);
  }
  EXPECT_NO_THROW(cpu.CopyColumns(x, 5, part));
  const Tensor good = cpu.Upload(std::vector<int32_t>{0, 3, 1, 2});
  EXPECT_NO_THROW(cpu.AddWeightedRows(x, weights, good, good, out));
  for (const int32_t bad : {-1, 5}) {
    const Tensor some = cpu.Upload(std::vector<int32_t>{0, bad, 1, 2});
    EXPECT_THROW(cpu.AddWeightedRows(x, weights, some, good, out), Error);
    EXPECT_THROW(cpu.AddWeightedRows(x, weights, good, some, out), Error);
    Tensor dx = cpu.New({4, 8});
    EXPECT_THROW(cpu.WeightedRowsGrad(out, x, weights, some, good, dx, nullptr), Error);
  }
}

// A model that overflows must not make a router name an expert twice, or one that there is not.
TEST(CpuRoute, ChoosesDifferentExpertsWhateverTheLogits) {
  ForCpuBackends([&](CpuBackend& cpu) {
    const Tensor logits =
        cpu.FromFloats(std::vector<float>{NAN, NAN, NAN, 1, NAN, 2, INFINITY, INFINITY, 0,
                                          -INFINITY, -INFINITY, -INFINITY},
                       {4, 3});
    Tensor p = cpu.New({4, 3}), experts = cpu.New({4, 2}, DType::kI32), weights = cpu.New({4, 2});
    cpu.Route({2, true}, logits, p, experts, weights);
    const std::vector<int32_t> chosen = cpu.ToHost<int32_t>(experts);
    for (size_t t = 0; t < 4; ++t) {
      EXPECT_NE(chosen[2 * t], chosen[2 * t + 1]);
      for (const int32_t e : {chosen[2 * t], chosen[2 * t + 1]}) EXPECT_TRUE(e >= 0 && e < 3) << e;
    }
    return std::vector<float>(chosen.begin(), chosen.end());
  });
}

TEST(CpuRows, StoresRowsInPagesOfEveryType) {
  constexpr int64_t kHeads = 2, kRows = 3, kDim = 37, cols = kHeads * kDim;
  std::vector<float> x = RandomFloats(2 * cols, 3, 100);
  x[0] = 1e9f, x[1] = 1e-7f, x[2] = 65519.0f;
  const std::vector<int32_t> rows = {5, 0};
  CpuBackend cpu(2, Compute::kF32);
  const Tensor from = cpu.FromFloats(x, {2, cols});
  const Shape pages{2, kHeads, kRows, kDim};
  Tensor f32 = cpu.New(pages), f16 = cpu.New(pages, DType::kF16),
         bf16 = cpu.New(pages, DType::kBF16);
  std::fill(f16.raw(), f16.raw() + f16.bytes(), std::byte{0x11});
  cpu.StoreRows(from, cpu.Upload(rows), f32);
  cpu.StoreRows(from, cpu.Upload(rows), f16);
  cpu.StoreRows(from, cpu.Upload(rows), bf16);
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t row = rows[i / cols], c = static_cast<int64_t>(i % cols);
    const int64_t at = ((row / kRows * kHeads + c / kDim) * kRows + row % kRows) * kDim + c % kDim;
    EXPECT_EQ(f32.data<float>()[at], x[i]);
    EXPECT_EQ(f16.data<F16>()[at].bits, ToF16(x[i]).bits);
    EXPECT_EQ(bf16.data<BF16>()[at].bits, ToBF16(x[i]).bits);
  }
  EXPECT_EQ(f16.data<F16>()[kDim].bits, 0x1111);  // row 1 is nobody's
}

TEST(CpuRmsNorm, NormalisesAndItsGradient) {
  const int64_t rows = 67, cols = 579;
  const double epsilon = 1e-5;
  const std::vector<float> x = RandomFloats(rows * cols, 4, 3), gain = RandomFloats(cols, 5),
                           dy = RandomFloats(rows * cols, 6);
  std::vector<double> y, inv, dx, dgain(cols, 0.25);
  for (int64_t t = 0; t < rows; ++t) {
    const float *xt = x.data() + t * cols, *dt = dy.data() + t * cols;
    double squares = 0, product = 0;
    for (int64_t c = 0; c < cols; ++c) {
      squares += static_cast<double>(xt[c]) * xt[c];
      product += static_cast<double>(dt[c]) * gain[static_cast<size_t>(c)] * xt[c];
    }
    const double r = 1 / std::sqrt(squares / cols + static_cast<float>(epsilon));
    inv.push_back(r);
    for (int64_t c = 0; c < cols; ++c) {
      const double g = gain[static_cast<size_t>(c)];
      y.push_back(xt[c] * r * g);
      dx.push_back(0.5 + r * g * dt[c] - xt[c] * r * r * r / cols * product);
      dgain[static_cast<size_t>(c)] += dt[c] * xt[c] * r;
    }
  }
  ForCpuBackends([&](CpuBackend& cpu) {
    const Tensor tx = cpu.FromFloats(x, {rows, cols}), tg = cpu.FromFloats(gain, {cols}),
                 td = cpu.FromFloats(dy, {rows, cols});
    Tensor ty = cpu.New({rows, cols}), ti = cpu.New({rows}), tdx = cpu.New({rows, cols}),
           tdg = cpu.New({cols});
    cpu.Fill(tdx, 0.5f);
    cpu.Fill(tdg, 0.25f);
    cpu.RmsNorm(tx, tg, static_cast<float>(epsilon), ty, ti);
    cpu.RmsNormGrad(td, tx, tg, ti, tdx, &tdg);
    EXPECT_LT(RelativeError(cpu.ToFloats(ty), y), 2e-7);
    EXPECT_LT(RelativeError(cpu.ToFloats(ti), inv), 1e-7);
    EXPECT_LT(RelativeError(cpu.ToFloats(tdx), dx), 3e-7);
    EXPECT_LT(RelativeError(cpu.ToFloats(tdg), dgain), 5e-7);
    std::vector<float> result = cpu.ToFloats(ty);
    Append(result, cpu.ToFloats(tdx));
    Append(result, cpu.ToFloats(tdg));
    cpu.RmsNormGrad(td, tx, tg, ti, tdx, nullptr);
    return result;
  });
}

TEST(CpuRotary, TurnsInPlaceAndBack) {
  const int64_t rows = 41, half = 19;
  const int heads = 3;
  std::vector<int32_t> positions;
  std::vector<double> freq;
  for (int64_t t = 0; t < rows; ++t) positions.push_back(static_cast<int32_t>(t * 3000));
  for (int64_t i = 0; i < half; ++i)
    freq.push_back(std::pow(10000.0, -static_cast<double>(i) / half));
  const int64_t cols = heads * 2 * half;
  const std::vector<float> x = RandomFloats(rows * cols, 7);
  std::vector<double> expected(x.size());
  const double amplitude = 1.25;
  for (size_t at = 0; at < x.size(); ++at) {
    const size_t t = at / cols, i = at % (2 * half), pair = i % half;
    const double angle = positions[t] * freq[pair];
    const double c = std::cos(angle) * amplitude, s = std::sin(angle) * amplitude;
    expected[at] = i < half ? x[at] * c - x[at + half] * s : x[at] * c + x[at - half] * s;
  }
  ForCpuBackends([&](CpuBackend& cpu) {
    Tensor c = cpu.New({rows, half}), s = cpu.New({rows, half}),
           y = cpu.FromFloats(x, {rows, cols});
    cpu.RotaryTable(cpu.Upload(positions), cpu.Upload(freq), amplitude, c, s);
    cpu.Rotary(y, c, s, heads, false, y);
    const std::vector<float> turned = cpu.ToFloats(y);
    EXPECT_LT(RelativeError(turned, expected), 2e-7);
    Tensor back = cpu.New({rows, cols});
    cpu.Rotary(y, c, s, heads, true, back);
    std::vector<double> original(x.begin(), x.end());
    for (double& v : original) v *= amplitude * amplitude;
    EXPECT_LT(RelativeError(cpu.ToFloats(back), original), 3e-7);
    return turned;
  });
}

}  // namespace
}  // namespace retort
