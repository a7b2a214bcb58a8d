// SPDX-License-Identifier: Apache-2.0
// Normalisation: a block a row, of 32 to 256 threads. A row is read twice, for its sum and for its
// values, the second time from the cache, so that memory is the bound. Sums are in f32, a part in
// each thread, and are joined as a tree.
#include "tensor/cuda/arguments.h"
#include "tensor/cuda/column_sums.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/rows.h"

namespace retort::cuda {
namespace {

// call(c) for every c at which this thread has kWidth values of a row.
template <int kWidth, class Call>
__device__ void ForOwn(int64_t cols, const Call& call) {
  for (int64_t c = int64_t{threadIdx.x} * kWidth; c < cols; c += int64_t{blockDim.x} * kWidth)
    call(c);
}

template <int kWidth>
__global__ void RmsNormKernel(Global<const float> x, Global<const float> gain, int64_t gains,
                              int64_t cols, float epsilon, Global<float> y, Global<float> inv_rms) {
  using Values = Vector<float, kWidth>;
  RETORT_SHARED(float, scratch, kMostWarps);
  const int64_t n = blockIdx.x, row = n * cols, own_gain = n % gains * cols;
  float squares = 0;
  ForOwn<kWidth>(cols, [&](int64_t c) {
    const Values v = LoadVector<kWidth>(x + (row + c));
    for (int j = 0; j < kWidth; ++j) squares += v.value[j] * v.value[j];
  });
  squares = BlockSum(squares, scratch);
  const float r = 1 / sqrtf(squares / static_cast<float>(cols) + epsilon);
  if (threadIdx.x == 0) inv_rms[n] = r;
  ForOwn<kWidth>(cols, [&](int64_t c) {
    Values v = LoadVector<kWidth>(x + (row + c));
    const Values g = LoadVector<kWidth>(gain + (own_gain + c));
    for (int j = 0; j < kWidth; ++j) v.value[j] = v.value[j] * r * g.value[j];
    StoreVector(y + (row + c), v);
  });
}

// dx_j += r g_j dy_j - x_j r^3 / C sum_c dy_c g_c x_c
template <int kWidth>
__global__ void RmsNormGradKernel(Global<const float> dy, Global<const float> x,
                                  Global<const float> gain, Global<const float> inv_rms,
                                  int64_t gains, int64_t cols, Global<float> dx) {
  using Values = Vector<float, kWidth>;
  RETORT_SHARED(float, scratch, kMostWarps);
  const int64_t n = blockIdx.x, row = n * cols, own_gain = n % gains * cols;
  float dot = 0;
  ForOwn<kWidth>(cols, [&](int64_t c) {
    const Values d = LoadVector<kWidth>(dy + (row + c)), v = LoadVector<kWidth>(x + (row + c));
    const Values g = LoadVector<kWidth>(gain + (own_gain + c));
    for (int j = 0; j < kWidth; ++j) dot += d.value[j] * g.value[j] * v.value[j];
  });
  dot = BlockSum(dot, scratch);
  const float r = inv_rms[n], shift = dot * r * r * r / static_cast<float>(cols);
  ForOwn<kWidth>(cols, [&](int64_t c) {
    const Values d = LoadVector<kWidth>(dy + (row + c)), v = LoadVector<kWidth>(x + (row + c));
    const Values g = LoadVector<kWidth>(gain + (own_gain + c));
    Values sum = LoadVector<kWidth>(dx + (row + c));
    for (int j = 0; j < kWidth; ++j)
      sum.value[j] += d.value[j] * g.value[j] * r - v.value[j] * shift;
    StoreVector(dx + (row + c), sum);
  });
}

template <int kWidth>
__global__ void CenterRowsKernel(Global<const float> x, int64_t cols, bool accumulate,
                                 Global<float> y) {
  using Values = Vector<float, kWidth>;
  RETORT_SHARED(float, scratch, kMostWarps);
  const int64_t row = blockIdx.x * cols;
  float sum = 0;
  ForOwn<kWidth>(cols, [&](int64_t c) {
    const Values v = LoadVector<kWidth>(x + (row + c));
    for (int j = 0; j < kWidth; ++j) sum += v.value[j];
  });
  const float mean = BlockSum(sum, scratch) / static_cast<float>(cols);
  ForOwn<kWidth>(cols, [&](int64_t c) {
    const Values v = LoadVector<kWidth>(x + (row + c));
    Values out = {};
    if (accumulate) out = LoadVector<kWidth>(y + (row + c));
    for (int j = 0; j < kWidth; ++j) out.value[j] += v.value[j] - mean;
    StoreVector(y + (row + c), out);
  });
}

// Of every `step`-th row.
struct GainTerm {
  Global<const float> dy, x, inv_rms;
  int64_t cols, step;
  __device__ float operator()(int64_t t, int64_t c) const {
    const int64_t i = t * step * cols + c;
    return dy[i] * (x[i] * inv_rms[t * step]);
  }
};

// a / norm; 0 for a norm of 0.
__device__ float ByNorm(float a, float norm) { return norm == 0 ? 0 : a / norm; }

__global__ void ResizeColumnsKernel(Global<const float> x, Global<const float> size,
                                    Global<const float> norms, int64_t count, int64_t cols,
                                    Global<float> y) {
  const int64_t i = ThreadNumber();
  if (i >= count) return;
  const int64_t c = i % cols;
  y[i] = x[i] * ByNorm(size[c], norms[c]);
}

struct ResizeTerm {
  Global<const float> dy, x, norms;
  int64_t cols;
  __device__ float operator()(int64_t t, int64_t c) const {
    const int64_t i = t * cols + c;
    return ByNorm(dy[i] * x[i], norms[c]);
  }
};

// The number of gains that rows take in turn.
int64_t GainsOf(const Tensor& x, const Tensor& gain) {
  const int64_t cols = x.cols(), gains = gain.elements() / cols;
  RETORT_CHECK(gains > 0 && gain.elements() == gains * cols && x.rows() % gains == 0, "gains ",
               gain.shape().text(), " for ", x.shape().text());
  return gains;
}

}  // namespace

void CudaBackend::RmsNorm(const Tensor& x, const Tensor& gain, float epsilon, Tensor& y,
                          Tensor& inv_rms) {
  const int64_t rows = x.rows(), cols = x.cols(), gains = GainsOf(x, gain);
  RETORT_CHECK(y.elements() == x.elements() && inv_rms.elements() == rows, "norm of ",
               x.shape().text());
  WithWidth(InFours(cols, In<float>(x), In<float>(gain), Out<float>(y)), [&]<int kWidth>() {
    Launch(*queue_, RowBlocks(rows, cols), RmsNormKernel<kWidth>, In<float>(x), In<float>(gain),
           gains, cols, epsilon, Out<float>(y), Out<float>(inv_rms));
  });
}

void CudaBackend::RmsNormGrad(const Tensor& dy, const Tensor& x, const Tensor& gain,
                              const Tensor& inv_rms, Tensor& dx, Tensor* dgain) {
  const int64_t rows = x.rows(), cols = x.cols(), gains = GainsOf(x, gain);
  RETORT_CHECK(dy.elements() == x.elements() && dx.elements() == x.elements() &&
                   inv_rms.elements() == rows && (!dgain || dgain->elements() == gain.elements()),
               "norm gradient of ", x.shape().text());
  const bool fours = InFours(cols, In<float>(dy), In<float>(x), In<float>(gain), Out<float>(dx));
  WithWidth(fours, [&]<int kWidth>() {
    Launch(*queue_, RowBlocks(rows, cols), RmsNormGradKernel<kWidth>, In<float>(dy), In<float>(x),
           In<float>(gain), In<float>(inv_rms), gains, cols, Out<float>(dx));
  });
  for (int64_t g = 0; dgain && g < gains; ++g) {
    const GainTerm term{In<float>(dy) + g * cols, In<float>(x) + g * cols, In<float>(inv_rms) + g,
                        cols, gains};
    AddColumnSums(*this, *queue_, rows / gains, cols, term, Out<float>(*dgain) + g * cols);
  }
}

void CudaBackend::CenterRows(const Tensor& x, bool accumulate, Tensor& y) {
  const int64_t cols = x.cols();
  RETORT_CHECK(y.elements() == x.elements(), "centring of ", x.shape().text());
  WithWidth(InFours(cols, In<float>(x), Out<float>(y)), [&]<int kWidth>() {
    Launch(*queue_, RowBlocks(x.rows(), cols), CenterRowsKernel<kWidth>, In<float>(x), cols,
           accumulate, Out<float>(y));
  });
}

void CudaBackend::ResizeColumns(const Tensor& x, const Tensor& size, const Tensor& norms,
                                Tensor& y) {
  const int64_t cols = x.cols();
  RETORT_CHECK(x.shape() == y.shape() && size.elements() == cols && norms.elements() == cols,
               size.shape().text(), " and ", norms.shape().text(), " for ", x.shape().text());
  Launch(*queue_, OneEach(x.elements()), ResizeColumnsKernel, In<float>(x), In<float>(size),
         In<float>(norms), x.elements(), cols, Out<float>(y));
}

void CudaBackend::ResizeColumnsGrad(const Tensor& dy, const Tensor& x, const Tensor& norms,
                                    Tensor& dsize) {
  const int64_t cols = x.cols();
  RETORT_CHECK(x.shape() == dy.shape() && dsize.elements() == cols && norms.elements() == cols,
               dsize.shape().text(), " and ", norms.shape().text(), " for ", x.shape().text());
  AddColumnSums(*this, *queue_, x.rows(), cols,
                ResizeTerm{In<float>(dy), In<float>(x), In<float>(norms), cols}, Out<float>(dsize));
}

}  // namespace retort::cuda
