// SPDX-License-Identifier: Apache-2.0
// Int8 products of weights that are read as codes of one byte (BlockFormat::codes): which kernel
// takes them, the largest integers, and rows beside others. linear_test.cc compares them with loops
// in double.
#include "tensor/cpu/int8_codes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/cpu/products.h"
#include "tensor/quant/super_codes.h"
#include "tests/tensor/weights.h"

namespace retort {
namespace {

// body(format) for every format with codes.
template <class Body>
void ForCodes(const Body& body) {
  for (const WeightFormat format : AllFormats()) {
    if (!TraitsOf(format).codes) continue;
    SCOPED_TRACE(TraitsOf(format).name);
    body(format);
  }
}

// The product of the first `rows` rows of x.
std::vector<float> Int8Product(CpuBackend& backend, const Weight& w, const std::vector<float>& x,
                               int64_t rows, bool sensitive = false) {
  const std::span in(x.data(), static_cast<size_t>(rows * w.cols()));
  Tensor y = backend.New({rows, w.rows()});
  backend.LinearForward(backend.FromFloats(in, {rows, w.cols()}),
                        backend.Prepare(w, {.sensitive = sensitive}), y);
  return backend.ToFloats(y);
}

std::vector<float> FirstOf(const std::vector<float>& values, int64_t count) {
  return {values.begin(), values.begin() + count};
}

// But for Q8_0 and Q4_0 with VNNI, which have kernels of their own.
TEST(CodeTiles, TakeProductsOfMoreThanAFewRows) {
  constexpr int64_t kOut = 75, kIn = 512, kMany = kVectorRows + 1;
  const std::vector<float> x = RandomFloats(kMany * kIn, 1);
  ForCodes([&](WeightFormat format) {
    TestWeights weights;
    const Weight w = weights.Make(format, kOut, kIn, RandomFloats(kOut * kIn, 2, 0.05));
    const auto both = [&](CpuBackend& backend) {
      const Isa isa = backend.isa();
      std::vector<float> many = Int8Product(backend, w, x, kMany);
      const bool own = TraitsOf(format).int8 && isa == Isa::kAvx512 && CpuHasVnni();
      if (isa == Isa::kPortable || own) return many;
      WeightProduct product{&w, backend.New({kMany, kOut}), {}, {}};
      CodeTilesForward(backend.pool(), backend.memory(), isa, x.data(), kMany, {&product, 1});
      EXPECT_EQ(many, backend.ToFloats(product.y));
      // A few rows are added in another order: the comparison does tell the kernels apart.
      EXPECT_NE(FirstOf(many, kVectorRows * kOut), Int8Product(backend, w, x, kVectorRows));
      return many;
    };
    ForCpuBackends(both, Compute::kInt8);
  });
}

// Rows of values at one end of the format's range, with a slightly larger one of the other sign in
// every 16: scales reach both ends, and formats around zero have code 0 for the larger.
std::vector<float> ExtremeValues(int64_t rows, int64_t cols) {
  std::vector<float> values;
  values.reserve(static_cast<size_t>(rows * cols));
  for (int64_t i = 0; i < rows * cols; ++i) {
    const float sign = i / cols % 2 == 0 ? 1.0f : -1.0f;
    values.push_back(i % 16 == 5 ? -1.001f * sign : sign);
  }
  return values;
}

// One row's codes have all bits set, but for one of every 16.
void ExpectsLargestCodes(const Weight& w) {
  const BlockFormat& format = TraitsOf(w.format());
  if (format.code_bits == 8) return;  // signed, and not all of 8 bits are codes
  std::vector<SuperCodes> codes(static_cast<size_t>(w.cols() / 256));
  int64_t largest = 0;
  for (int64_t row = 0; row < 2; ++row) {
    const int64_t blocks = w.cols() / format.block_elements;
    format.codes(HostIsa(), w, row * blocks, blocks, codes.data());
    for (const SuperCodes& c : codes)
      largest += std::ranges::count(c.code, (1 << format.code_bits) - 1);
  }
  EXPECT_GE(largest, w.cols() * 15 / 16);
}

// Products with the largest integers of x, |q| = 127, fit into the sums of 16 bits: what overflows
// is far from the sum in double.
void ExpectsExactSums(const Weight& w) {
  constexpr int64_t kRows[] = {1, 16, 17, 40};
  std::vector<float> x;
  x.reserve(static_cast<size_t>(40 * w.cols()));
  for (int64_t i = 0; i < 40 * w.cols(); ++i) x.push_back(i / w.cols() % 3 == 1 ? -1.0f : 1.0f);
  std::vector<float> values(static_cast<size_t>(w.cols()));
  std::vector<double> sums;
  sums.reserve(static_cast<size_t>(w.rows()));
  double magnitude = 0;
  for (int64_t o = 0; o < w.rows(); ++o) {
    DecodeRow(w, o, 0, w.cols(), values.data());
    double sum = 0, of_row = 0;
    for (const float v : values) {
      sum += v;
      of_row += std::abs(v);
    }
    sums.push_back(sum);
    magnitude = std::max(magnitude, of_row);
  }
  const auto body = [&](CpuBackend& backend) {
    std::vector<float> all;
    for (const int64_t rows : kRows) {
      for (const bool sensitive : {false, true}) {
        const std::vector<float> y = Int8Product(backend, w, x, rows, sensitive);
        double worst = 0;
        for (size_t i = 0; i < y.size(); ++i) {
          const double sign = i / sums.size() % 3 == 1 ? -1 : 1;
          worst = std::max(worst, std::abs(y[i] - sign * sums[i % sums.size()]));
        }
        EXPECT_LT(worst / magnitude, 1e-5) << rows << " rows, sensitive " << sensitive;
        Append(all, y);
      }
    }
    return all;
  };
  ForCpuBackends(body, Compute::kInt8);
}

TEST(CodeTiles, AddUpTheLargestCodesExactly) {
  ForCodes([&](WeightFormat format) {
    TestWeights weights;
    const Weight w = weights.Make(format, 34, 512, ExtremeValues(34, 512));
    ExpectsLargestCodes(w);
    ExpectsExactSums(w);
  });
}

// Which no encoder writes, but a file may hold.
TEST(CodeTiles, AddUpMinus128Exactly) {
  constexpr int64_t kOut = 34, kIn = 512;
  BlockQ8_0 block{.d = ToF16(0.01f), .q = {}};
  std::ranges::fill(block.q, int8_t{-128});
  const std::vector<BlockQ8_0> blocks(kOut * kIn / kBlockValues, block);
  ExpectsExactSums(Weight(WeightFormat::kQ8_0, kOut, kIn, std::as_bytes(std::span(blocks)), {}));
}

// With several tiles, rows in two pieces, and several strips a piece.
TEST(CodeTiles, RowsDoNotDependOnThoseBeside) {
  constexpr int64_t kMost = 511, kOut = 140, kIn = 2816, kFirst = kVectorRows + 1;
  const std::vector<float> x = RandomFloats(kMost * kIn, 1),
                           values = RandomFloats(kOut * kIn, 2, 0.05);
  ForCodes([&](WeightFormat format) {
    TestWeights weights;
    const Weight w = weights.Make(format, kOut, kIn, values);
    const auto body = [&](CpuBackend& backend) {
      std::vector<float> first = Int8Product(backend, w, x, kFirst);
      if (backend.isa() == Isa::kPortable) return first;
      for (const int64_t rows : {int64_t{40}, kMost})
        EXPECT_EQ(FirstOf(Int8Product(backend, w, x, rows), kFirst * kOut), first) << rows;
      return first;
    };
    ForCpuBackends(body, Compute::kInt8);
  });
}

TEST(CodeTiles, ANotANumberStaysInItsRow) {
  constexpr int64_t kRows = 21, kOut = 80, kIn = 256;
  std::vector<float> x = RandomFloats(kRows * kIn, 1);
  x[20 * kIn + 3] = std::numeric_limits<float>::quiet_NaN();
  ForCodes([&](WeightFormat format) {
    TestWeights weights;
    const Weight w = weights.Make(format, kOut, kIn, RandomFloats(kOut * kIn, 2, 0.05));
    const auto body = [&](CpuBackend& backend) {
      const std::vector<float> y = Int8Product(backend, w, x, kRows);
      for (size_t i = 0; i < y.size(); ++i)
        EXPECT_EQ(std::isnan(y[i]), i >= size_t{20 * kOut}) << i;
      return FirstOf(y, 20 * kOut);
    };
    ForCpuBackends(body, Compute::kInt8);
  });
}

// BlockFormat::code_bits and code_group are as the kernels for them need.
TEST(Codes, AreWhatTheTableSays) {
  ForCodes([&](WeightFormat format) {
    const BlockFormat& f = TraitsOf(format);
    const int bits = f.code_bits, zero = bits == 3 || bits == 6 || bits == 8 ? 1 << (bits - 1) : 0;
    EXPECT_TRUE((bits >= 2 && bits <= 6) || bits == 8) << bits;
    EXPECT_TRUE(f.code_group == 32 || (f.code_group == 16 && bits != 8)) << f.code_group;
    TestWeights weights;
    const Weight w = weights.Any(format, 1, 512);
    std::vector<float> values(512);
    DecodeRow(w, 0, 0, 512, values.data());
    SuperCodes codes[2];
    f.codes(HostIsa(), w, 0, 512 / f.block_elements, codes);
    for (int i = 0; i < 512; ++i) {
      const SuperCodes& c = codes[i / 256];
      const int in = i % 256, group = in / 16;
      EXPECT_LT(c.code[in], 1 << bits) << i;
      const int first = in / f.code_group * f.code_group / 16;  // of those that share a scale
      EXPECT_EQ(c.scale[group], c.scale[first]) << i;
      EXPECT_EQ(c.minimum[group], c.minimum[first]) << i;
      if (zero > 0) {
        EXPECT_EQ(c.minimum[group], static_cast<float>(zero) * c.scale[group]) << i;
      }
      const float part = c.scale[group] * static_cast<float>(c.code[in]);
      EXPECT_NEAR(part - c.minimum[group], values[static_cast<size_t>(i)],
                  1e-6 * (std::abs(part) + std::abs(c.minimum[group])))
          << i;
    }
  });
  for (const WeightFormat format : AllFormats()) {
    const BlockFormat& f = TraitsOf(format);
    if (f.codes) continue;
    EXPECT_EQ(f.code_bits + f.code_group, 0) << f.name;
  }
}

}  // namespace
}  // namespace retort
