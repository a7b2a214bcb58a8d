// SPDX-License-Identifier: Apache-2.0
// Rounding with error feedback, and the grids of the formats that it rounds to.
#include "tensor/quant/feedback.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/error.h"
#include "tensor/quant/grid.h"
#include "tensor/quant/quant.h"
#include "tests/tensor/weights.h"

namespace retort {
namespace {

constexpr int64_t kCols = 512, kMatrixRows = 19;  // rows do not fill the last vector

std::vector<WeightFormat> FormatsWithGrids() {
  std::vector<WeightFormat> out;
  for (const WeightFormat f : AllFormats()) {
    if (TraitsOf(f).grid) out.push_back(f);
  }
  return out;
}

std::vector<float> NormalValues(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(static_cast<size_t>(count));
  for (float& v : out) v = normal(random);
  return out;
}

// The second moments of inputs that have 48 causes in common, some columns more than others.
std::vector<float> CorrelatedMoments(int64_t n) {
  constexpr int64_t kCauses = 48;
  const std::vector<float> causes = NormalValues(n * kCauses, 5);
  std::vector<float> moments(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = i == j ? 0.1 : 0;
      for (int64_t c = 0; c < kCauses; ++c)
        sum += double{causes[static_cast<size_t>(i * kCauses + c)]} *
               causes[static_cast<size_t>(j * kCauses + c)] / kCauses;
      const auto size = [](int64_t k) { return 1 + 0.5 * std::sin(static_cast<double>(k)); };
      moments[static_cast<size_t>(i * n + j)] = static_cast<float>(sum * size(i) * size(j));
    }
  }
  return moments;
}

// (w - q) H (w - q)^T, summed over the rows.
double OutputError(const std::vector<float>& w, const std::vector<float>& q,
                   const std::vector<float>& moments, int64_t n) {
  double total = 0;
  for (size_t row = 0; row < w.size(); row += static_cast<size_t>(n)) {
    for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
      double sum = 0;
      for (size_t j = 0; j < static_cast<size_t>(n); ++j)
        sum += double{moments[i * static_cast<size_t>(n) + j]} * (w[row + j] - q[row + j]);
      total += sum * (w[row + i] - q[row + i]);
    }
  }
  return total;
}

Weight WeightOf(WeightFormat format, int64_t rows, const std::vector<std::byte>& bytes) {
  return Weight(format, rows, kCols, Bytes(bytes), nullptr);
}
TEST(Grid, HasTheValuesOfTheBlock) {
  for (const WeightFormat format : FormatsWithGrids()) {
    const BlockFormat& f = TraitsOf(format);
    SCOPED_TRACE(f.name);
    const std::vector<float> row = NormalValues(kCols, 7);
    std::vector<std::byte> bytes(static_cast<size_t>(RowBytes(format, kCols)));
    EncodeRow(format, row.data(), kCols, bytes.data());
    const std::vector<float> values = Decoded(WeightOf(format, 1, bytes));
    std::vector<std::byte> put = bytes;
    for (int64_t b = 0; b < kCols / f.block_elements; ++b) {
      const BlockGrid grid = f.grid->grid(bytes.data() + b * f.block_bytes);
      std::vector<uint8_t> codes;
      for (int i = 0; i < f.block_elements; ++i) {
        const float value = values[static_cast<size_t>(b * f.block_elements + i)];
        size_t code = 0;
        while (code < grid.levels.size() &&
               grid.levels[code] * grid.scale[i / grid.group] + grid.low[i / grid.group] != value)
          ++code;
        ASSERT_LT(code, grid.levels.size()) << "value " << i << " of block " << b;
        codes.push_back(static_cast<uint8_t>(code));
      }
      f.grid->put(codes.data(), put.data() + b * f.block_bytes);
    }
    EXPECT_EQ(Decoded(WeightOf(format, 1, put)), values);
  }
}

TEST(Feedback, FactorsTheMoments) {
  constexpr int64_t kSize = 75;  // more than two panels
  const std::vector<float> moments = CorrelatedMoments(kSize);
  ThreadPool pool(2);
  const FeedbackFactor factor(moments, kSize, 0, pool);
  for (int64_t i = 0; i < kSize; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t k = i; k < kSize; ++k)
        sum += double{factor.weights()[k]} * factor.feedback(k)[i] * factor.feedback(k)[j];
      EXPECT_NEAR(sum, moments[static_cast<size_t>(i * kSize + j)], 1e-5) << i << " " << j;
    }
  }
}

TEST(Feedback, LessensTheErrorOfOutputs) {
  const std::vector<float> moments = CorrelatedMoments(kCols),
                           w = NormalValues(kMatrixRows * kCols, 3);
  std::vector<float> importance(kCols);
  for (size_t i = 0; i < kCols; ++i) importance[i] = moments[i * kCols + i];
  ThreadPool pool(1);
  const FeedbackFactor factor(moments, kCols, 0.01, pool);
  for (const WeightFormat format : FormatsWithGrids()) {
    SCOPED_TRACE(TraitsOf(format).name);
    const int64_t stride = RowBytes(format, kCols);
    std::vector<std::byte> plain(static_cast<size_t>(kMatrixRows * stride)), tuned = plain;
    for (int64_t r = 0; r < kMatrixRows; ++r)
      EncodeRow(format, w.data() + r * kCols, kCols, plain.data() + r * stride, importance.data());
    EncodeRowsWithFeedback(format, factor, w.data(), kMatrixRows, tuned.data());
    const double before =
                     OutputError(w, Decoded(WeightOf(format, kMatrixRows, plain)), moments, kCols),
                 after =
                     OutputError(w, Decoded(WeightOf(format, kMatrixRows, tuned)), moments, kCols);
    // With the feedback's sign turned the error is above that of plain rounding.
    EXPECT_LT(after, 0.7 * before);
    ::testing::Test::RecordProperty(std::string(TraitsOf(format).name),
                                    std::to_string(after / before));
  }
}

TEST(Feedback, IsTheSameForAnyNumberOfThreadsAndRows) {
  const std::vector<float> moments = CorrelatedMoments(kCols),
                           w = NormalValues(kMatrixRows * kCols, 4);
  const auto memory = MakeHostMemory();
  const Weight source(WeightFormat::kF32, kMatrixRows, kCols, std::as_bytes(std::span(w)), nullptr);
  const WeightFormat format = FormatNamed("q4_k");
  std::vector<std::vector<float>> results;
  results.reserve(2);
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    const FeedbackFactor factor(moments, kCols, 0.01, pool);
    results.push_back(Decoded(RoundedWithFeedback(source, format, factor, *memory, pool)));
  }
  EXPECT_EQ(results[0], results[1]);
  ThreadPool pool(1);
  const FeedbackFactor factor(moments, kCols, 0.01, pool);
  std::vector<std::byte> one(static_cast<size_t>(RowBytes(format, kCols)));
  EncodeRowsWithFeedback(format, factor, w.data() + 17 * kCols, 1, one.data());
  const std::vector<float> alone = Decoded(WeightOf(format, 1, one));
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), results[0].begin() + 17 * kCols));
}

// Inputs that were never seen: the rounding of the values by themselves.
TEST(Feedback, NeedsNoInputs) {
  const std::vector<float> none(kCols * kCols), w = NormalValues(kCols, 6);
  ThreadPool pool(1);
  const FeedbackFactor factor(none, kCols, 0.01, pool);
  std::vector<std::byte> bytes(static_cast<size_t>(RowBytes(FormatNamed("q8_0"), kCols)));
  EncodeRowsWithFeedback(FormatNamed("q8_0"), factor, w.data(), 1, bytes.data());
  const std::vector<float> got = Decoded(WeightOf(FormatNamed("q8_0"), 1, bytes));
  for (size_t i = 0; i < w.size(); ++i) EXPECT_NEAR(got[i], w[i], 0.02);
}

// Inputs that say the same, beside some that are always zero: there is no factor without damping.
TEST(Feedback, DampsMomentsThatAreSingular) {
  constexpr int64_t kSize = 64;
  const auto live = [](int64_t k) { return k % 4 == 0 ? 0.0f : 1.0f + static_cast<float>(k % 3); };
  std::vector<float> moments;
  moments.reserve(kSize * kSize);
  for (int64_t i = 0; i < kSize; ++i) {
    for (int64_t j = 0; j < kSize; ++j) moments.push_back(live(i) * live(j));
  }
  ThreadPool pool(2);
  for (const double damping : {0.0, 1e-12, 0.01}) {
    SCOPED_TRACE(damping);
    const FeedbackFactor factor(moments, kSize, damping, pool);
    for (int64_t k = 0; k < kSize; ++k) {
      ASSERT_GT(factor.weights()[k], 0);
      for (int64_t i = 0; i < k; ++i) {
        ASSERT_TRUE(std::isfinite(factor.feedback(k)[i]));
        if (live(i) == 0 || live(k) == 0) {
          ASSERT_EQ(factor.feedback(k)[i], 0);
        }
      }
    }
  }
  // Where nothing is singular, nothing is added.
  std::vector<float> unit(kSize * kSize);
  for (size_t k = 0; k < kSize; ++k) unit[k * kSize + k] = 2;
  const FeedbackFactor factor(unit, kSize, 0, pool);
  for (int64_t k = 0; k < kSize; ++k) EXPECT_EQ(factor.weights()[k], 2);
}

TEST(Feedback, RefusesMomentsWithoutAFactor) {
  std::vector<float> moments = {1, 5, 5, 1};
  ThreadPool pool(1);
  EXPECT_THROW(FeedbackFactor(moments, 2, 0.01, pool), Error);
}

}  // namespace
}  // namespace retort
