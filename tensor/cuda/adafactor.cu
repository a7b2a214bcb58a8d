// SPDX-License-Identifier: Apache-2.0
// Adafactor: the second moments of a matrix as the product of a column and a row. With them the
// step is u[r,c] = g[r,c] by_row[r] by_column[c]; a vector is one row with by_row = 1, whose second
// moments are those of its columns. Bound by memory: the gradient is read four times, once by
// columns and three times by rows, a block a row; sums over the whole matrix go through a value for
// each row.
#include <cmath>

#include "tensor/cuda/arguments.h"
#include "tensor/cuda/column_sums.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/reduce.h"

namespace retort::cuda {
namespace {

// The gradient, times the factor.
struct ScaledGradient {
  Global<const float> gradient, factor;
  int64_t cols;
  __device__ float At(int64_t r, int64_t c) const { return gradient[r * cols + c] * factor[0]; }
};

struct SquareTerm {
  ScaledGradient g;
  __device__ float operator()(int64_t r, int64_t c) const {
    const float v = g.At(r, c);
    return v * v;
  }
};

__device__ float InverseRoot(double x) { return static_cast<float>(1 / sqrt(x)); }

// moments[at] = b2 moments[at] + (1 - b2) now; returns it.
__device__ float Mix(Global<float> moments, int64_t at, double now, double beta2) {
  const float held = moments[at], mixed = static_cast<float>(beta2 * held + (1 - beta2) * now);
  moments[at] = mixed;
  return mixed;
}

// The moments of rows, which are also written to `wide`, to be summed.
__global__ void RowMomentsKernel(ScaledGradient g, double epsilon, double beta2, Global<float> rows,
                                 Global<double> wide) {
  RETORT_SHARED(double, scratch, kMostWarps);
  const int64_t r = blockIdx.x;
  float sum = 0;
  for (int64_t c = threadIdx.x; c < g.cols; c += blockDim.x) sum += SquareTerm{g}(r, c);
  const double squares = BlockSum(static_cast<double>(sum), scratch);
  if (threadIdx.x == 0)
    wide[r] = Mix(rows, r, squares / static_cast<double>(g.cols) + epsilon, beta2);
}

__global__ void RowFactorsKernel(Global<const double> moments, Global<const double> sum,
                                 int64_t count, Global<float> by_row) {
  const int64_t r = ThreadNumber();
  if (r < count) by_row[r] = InverseRoot(moments[r] * static_cast<double>(count) / sum[0]);
}

// by_column: the sums of squares of `count` rows, overwritten by factors.
__global__ void ColumnFactorsKernel(int64_t count, double epsilon, double beta2, int64_t cols,
                                    Global<float> moments, Global<float> by_column) {
  const int64_t c = ThreadNumber();
  if (c >= cols) return;
  const double mean = by_column[c] / static_cast<double>(count) + epsilon;
  by_column[c] = InverseRoot(Mix(moments, c, mean, beta2));
}

// squares[r] = the sum of u[r,c]^2
__global__ void StepSquaresKernel(ScaledGradient g, Global<const float> by_row,
                                  Global<const float> by_column, Global<double> squares) {
  RETORT_SHARED(double, scratch, kMostWarps);
  const int64_t r = blockIdx.x;
  float sum = 0;
  for (int64_t c = threadIdx.x; c < g.cols; c += blockDim.x) {
    const float u = g.At(r, c) * by_column[c];
    sum += u * u;
  }
  const double all = BlockSum(static_cast<double>(sum), scratch), factor = by_row[r];
  if (threadIdx.x == 0) squares[r] = all * factor * factor;
}

struct AdafactorRates {
  double lr, clip;
  float decay;
};

// p (1 - decay) - rate u, as p minus both changes.
__global__ void AdafactorKernel(ScaledGradient g, AdafactorRates rates, int64_t count,
                                Global<const float> by_row, Global<const float> by_column,
                                Global<const double> squares, Global<float> parameter) {
  const int64_t r = blockIdx.x;
  const double all = squares[0], rms = sqrt(all / static_cast<double>(count));
  const double limit = rms > rates.clip ? rms / rates.clip : 1;
  const float rate = static_cast<float>(rates.lr / limit * by_row[r]);
  for (int64_t c = threadIdx.x; c < g.cols; c += blockDim.x) {
    const float p = parameter[r * g.cols + c], u = g.At(r, c) * by_column[c];
    parameter[r * g.cols + c] = p - (p * rates.decay + rate * u);
  }
}

}  // namespace

void CudaBackend::Adafactor(const AdafactorStep& step, const Tensor& factor, Tensor& parameter,
                            const Tensor& gradient, Tensor& rows, Tensor& columns) {
  const int64_t n = parameter.elements(), cols = columns ? columns.elements() : n;
  const int64_t count = columns ? n / cols : 1;
  RETORT_CHECK(gradient.elements() == n && factor.elements() == 1 &&
                   rows.elements() == (columns ? count : n),
               "Adafactor's moments of ", parameter.shape().text());
  const ScaledGradient g{In<float>(gradient), In<float>(factor), cols};
  const double epsilon = step.epsilon, beta2 = step.beta2;
  const Tensor wide = New({count}, DType::kF64);  // a value for each row, to be summed
  Tensor by_row = New({count}), by_column = New({cols}), sums = New({2}, DType::kF64);
  Tensor row_sum = sums.Part(0, 1), squares = sums.Part(1, 1);
  Fill(sums, 0);

  // 1. The moments and the factors that they make.
  if (columns) {
    Launch(*queue_, RowEach(count), RowMomentsKernel, g, epsilon, beta2, Out<float>(rows),
           Out<double>(wide));
    AddSum(wide, 1, row_sum);
    Launch(*queue_, OneEach(count), RowFactorsKernel, In<double>(wide), In<double>(row_sum), count,
           Out<float>(by_row));
  } else {
    Fill(by_row, 1);
  }
  Fill(by_column, 0);
  AddColumnSums(*this, *queue_, count, cols, SquareTerm{g}, Out<float>(by_column));
  Launch(*queue_, OneEach(cols), ColumnFactorsKernel, count, epsilon, beta2, cols,
         Out<float>(columns ? columns : rows), Out<float>(by_column));

  // 2. The step's root mean square limits its rate.
  Launch(*queue_, RowEach(count), StepSquaresKernel, g, In<float>(by_row), In<float>(by_column),
         Out<double>(wide));
  AddSum(wide, 1, squares);
  const AdafactorRates rates{
      .lr = step.lr, .clip = step.clip, .decay = step.lr * step.weight_decay};
  Launch(*queue_, RowEach(count), AdafactorKernel, g, rates, n, In<float>(by_row),
         In<float>(by_column), In<double>(squares), Out<float>(parameter));
}

}  // namespace retort::cuda
