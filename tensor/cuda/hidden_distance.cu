// SPDX-License-Identifier: Apache-2.0
// Distances between rows of hidden states, and their in-place gradients. One block a row, which
// the second pass finds in the caches: bound by memory.
#include "tensor/cuda/arguments.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/row_softmax.h"

namespace retort::cuda {
namespace {

// Both gradients have this form: y = (y * along - t) * factor.
struct Gradient {
  double along, factor;
};

__device__ void WriteGradient(Global<float> y, Global<const float> t, int64_t width,
                              const Gradient& gradient) {
  const auto along = static_cast<float>(gradient.along);
  const auto factor = static_cast<float>(gradient.factor);
  for (int64_t i = FirstQuad(); i < width; i += QuadStep()) {
    Quad own = LoadQuad(y, i, width, 0);
    const Quad to = LoadQuad(t, i, width, 0);
    for (int j = 0; j < kQuad; ++j) own.value[j] = (own.value[j] * along - to.value[j]) * factor;
    StoreQuad(y, i, width, own);
  }
}

__global__ void MeanSquareKernel(Global<float> ys, Global<const float> ts, int64_t width,
                                 float scale, Global<double> losses) {
  RETORT_SHARED(double, doubles, kMostWarps);
  const int64_t row = blockIdx.x;
  const Global<float> y = ys + row * width;
  const Global<const float> t = ts + row * width;
  float squares = 0;
  for (int64_t i = FirstQuad(); i < width; i += QuadStep()) {
    const Quad own = LoadQuad(y, i, width, 0), to = LoadQuad(t, i, width, 0);
    for (int j = 0; j < kQuad; ++j) {
      const float difference = own.value[j] - to.value[j];
      squares += difference * difference;
    }
  }
  const double sum = BlockSum(static_cast<double>(squares), doubles);
  const auto count = static_cast<double>(width);
  if (threadIdx.x == 0) losses[row] = sum / count;
  if (scale != 0) WriteGradient(y, t, width, {1, 2 * scale / count});
}

// -d cos / dy = (y (y.t) / |y|^2 - t) / (|y| |t|)
__global__ void CosineKernel(Global<float> ys, Global<const float> ts, int64_t width, float scale,
                             Global<double> losses) {
  RETORT_SHARED(double, doubles, kMostWarps);
  const int64_t row = blockIdx.x;
  const Global<float> y = ys + row * width;
  const Global<const float> t = ts + row * width;
  float own_dot = 0, own_yy = 0, own_tt = 0;
  for (int64_t i = FirstQuad(); i < width; i += QuadStep()) {
    const Quad own = LoadQuad(y, i, width, 0), to = LoadQuad(t, i, width, 0);
    for (int j = 0; j < kQuad; ++j) {
      own_dot += own.value[j] * to.value[j];
      own_yy += own.value[j] * own.value[j];
      own_tt += to.value[j] * to.value[j];
    }
  }
  const double dot = BlockSum(static_cast<double>(own_dot), doubles);
  const double yy = BlockSum(static_cast<double>(own_yy), doubles);
  const double tt = BlockSum(static_cast<double>(own_tt), doubles);
  const double norms = sqrt(yy) * sqrt(tt);
  const bool flat = norms == 0;  // not !(norms > 0): NaN must propagate
  if (threadIdx.x == 0) losses[row] = flat ? 1 : 1 - dot / norms;
  if (scale != 0) WriteGradient(y, t, width, {flat ? 0 : dot / yy, flat ? 0 : scale / norms});
}

}  // namespace

void CudaBackend::HiddenDistance(Tensor& y, const Tensor& target, HiddenLossKind kind,
                                 float gradient_scale, Tensor& losses) {
  const int64_t rows = y.rows(), width = y.cols();
  RETORT_CHECK(target.rows() == rows && target.cols() == width && losses.elements() == rows,
               "hidden states ", y.shape().text(), ", targets ", target.shape().text(), ", ",
               losses.elements(), " losses");
  Launch(*queue_, RowEach(rows), kind == HiddenLossKind::kMse ? MeanSquareKernel : CosineKernel,
         Out<float>(y), In<float>(target), width, gradient_scale, Out<double>(losses));
}

}  // namespace retort::cuda
