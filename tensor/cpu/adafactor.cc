// SPDX-License-Identifier: Apache-2.0
// Adafactor: the second moments of a matrix as the product of a column and a row. With them the
// step is u[r,c] = g[r,c] by_row[r] by_column[c]; a vector is one row with by_row = 1.
#include <algorithm>
#include <cmath>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

// (scale g by_column)^2 along a row; by_column: null for 1.
struct GradientSquare {
  const float *g, *by_column;
  float scale;
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t i, Lanes lanes) const {
    Floats<W> x = Load<W>(g + i, lanes) * scale;
    if (by_column) x *= Load<W>(by_column + i, lanes);
    return x * x;
  }
};

// The sum of a row's squares: runs of f32 sums, added in double.
struct GradientRowSquares {
  template <int W>
  RETORT_INLINE static void Run(const GradientSquare* term, int64_t cols, double* out) {
    constexpr int64_t kRun = 1024;
    double sum = 0;
    for (int64_t begin = 0; begin < cols; begin += kRun)
      sum += SumLanes<W>(*term, begin, std::min(cols, begin + kRun));
    *out = sum;
  }
};

struct GradientColumnSquares {
  const float* g;
  int64_t cols;
  float scale;
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t row, int64_t i, Lanes lanes) const {
    const Floats<W> x = Load<W>(g + row * cols + i, lanes) * scale;
    return x * x;
  }
};

// p (1 - decay) - rate g by_column, along a row.
struct AdafactorOp {
  const float *g, *by_column;
  float* parameter;
  float decay, rate;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> p = Load<W>(parameter + i, lanes);
    const Floats<W> u = Load<W>(g + i, lanes) * Load<W>(by_column + i, lanes) * rate;
    Store<W>(parameter + i, p - (p * decay + u), lanes);
  }
};

// held = b2 held + (1 - b2) now; returns it.
double Mix(float& held, double now, double beta2) {
  return held = static_cast<float>(beta2 * held + (1 - beta2) * now);
}
float InverseRoot(double x) { return static_cast<float>(1 / std::sqrt(x)); }

}  // namespace

void CpuBackend::Adafactor(const AdafactorStep& step, const Tensor& factor, Tensor& parameter,
                           const Tensor& gradient, Tensor& rows, Tensor& columns) {
  const int64_t n = parameter.elements(), cols = columns ? columns.elements() : n, count = n / cols;
  RETORT_CHECK(gradient.elements() == n && factor.elements() == 1 &&
               rows.elements() == (columns ? count : n));
  const float *g = gradient.data<float>(), scale = *factor.data<float>();
  const double epsilon = step.epsilon, beta2 = step.beta2, lr = step.lr;
  Tensor row_sums = New({count}, DType::kF64), row_factors = New({count}, DType::kF32),
         column_factors = New({cols}, DType::kF32);
  double* sums = row_sums.data<double>();
  float *by_row = row_factors.data<float>(), *by_column = column_factors.data<float>();
  const auto for_rows = [&](const auto& body) {
    ForRanges(pool_, count, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) body(r);
    });
  };
  const auto sum_rows = [&](const float* factors) {
    for_rows([&](int64_t r) {
      const GradientSquare term{g + r * cols, factors, scale};
      CallSimd<GradientRowSquares>(isa_, &term, cols, sums + r);
    });
  };

  // 1. The moments and the factors that they make.
  float* held = rows.data<float>();
  if (columns) {
    sum_rows(nullptr);
    Fill(column_factors, 0);
    AddColumnSums(pool_, isa_, count, cols, GradientColumnSquares{g, cols, scale}, by_column);
    double sum = 0;
    for (int64_t r = 0; r < count; ++r)
      sum += Mix(held[r], sums[r] / static_cast<double>(cols) + epsilon, beta2);
    for (int64_t r = 0; r < count; ++r)
      by_row[r] = InverseRoot(held[r] * static_cast<double>(count) / sum);
    for (int64_t c = 0; c < cols; ++c) {
      const double mean = by_column[c] / static_cast<double>(count) + epsilon;
      by_column[c] = InverseRoot(Mix(columns.data<float>()[c], mean, beta2));
    }
  } else {
    by_row[0] = 1;
    for (int64_t i = 0; i < n; ++i) {
      const double own = static_cast<double>(g[i]) * scale;
      by_column[i] = InverseRoot(Mix(held[i], own * own + epsilon, beta2));
    }
  }

  // 2. The step's root mean square limits its rate.
  sum_rows(by_column);
  double squares = 0;
  for (int64_t r = 0; r < count; ++r) squares += sums[r] * by_row[r] * by_row[r];
  const double rms = std::sqrt(squares / static_cast<double>(n));
  const double rate = lr / std::max(1.0, rms / step.clip) * scale;
  for_rows([&](int64_t r) {
    const AdafactorOp op{g + r * cols, by_column, parameter.data<float>() + r * cols,
                         static_cast<float>(lr * step.weight_decay),
                         static_cast<float>(rate * by_row[r])};
    CallSimd<LanesKernel>(isa_, &op, int64_t{0}, cols);
  });
}

}  // namespace retort
