// SPDX-License-Identifier: Apache-2.0
// Cross-entropy and its gradient, and sums of losses.
//
// One block a row. The maximum and the sum of exponentials come from one pass, the gradient from a
// second one: with it a row is read twice and written once, 12 bytes a logit, and memory is the
// bound. A row of a large vocabulary (600 KB) fits no shared memory, a chunk of rows the L2 cache.
#include "tensor/cuda/arguments.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/row_softmax.h"

namespace retort::cuda {
namespace {

constexpr int kSumThreads = 1024;

// scales: null if no gradient is needed. A target that is no id makes the loss NaN.
__global__ void __launch_bounds__(kLossThreads)
    CrossEntropyKernel(Global<float> logits, int64_t cols, Global<const int32_t> targets,
                       Global<const float> scales, bool gradient, float smoothing,
                       Global<double> losses) {
  RETORT_SHARED(float, singles, kMostWarps);
  RETORT_SHARED(double, doubles, kMostWarps);
  const int64_t row = blockIdx.x;
  const Global<float> x = logits + row * cols;
  const int32_t target = targets[row];
  float at_target = kNotANumber;
  if (target >= 0 && target < cols) at_target = x[target];

  OnlineSum own;
  double own_total = 0;  // of the logits, for smoothing
  for (int64_t i = FirstQuad(); i < cols; i += QuadStep()) {
    const Quad quad = LoadQuad(x, i, cols, -kInfinity);
    for (int j = 0; j < kQuad; ++j) {
      own.Add(quad.value[j]);
      if (smoothing > 0 && i + j < cols) own_total += quad.value[j];
    }
  }
  const SoftmaxSum softmax = JoinSums(own, {singles, doubles});
  const double mean = BlockSum(own_total, doubles) / static_cast<double>(cols);
  const double most = softmax.most;
  if (threadIdx.x == 0) {
    const double below = smoothing > 0 ? most - mean : 0;
    losses[row] = log(softmax.sum) + (1 - smoothing) * (most - at_target) + smoothing * below;
  }
  if (!gradient) return;

  const float scale = scales[row];
  const auto factor = static_cast<float>(scale / softmax.sum);
  const float uniform = scale * smoothing / static_cast<float>(cols);
  for (int64_t i = FirstQuad(); i < cols; i += QuadStep()) {
    Quad quad = LoadQuad(x, i, cols, -kInfinity);
    for (int j = 0; j < kQuad; ++j) {
      float& v = quad.value[j];
      v = expf(v - softmax.most) * factor - uniform;
      if (i + j == target) v -= scale * (1 - smoothing);
    }
    StoreQuad(x, i, cols, quad);
  }
}

// One block: there is one loss for each token.
__global__ void AddSumKernel(Global<const double> x, int64_t count, double factor,
                             Global<double> sum) {
  RETORT_SHARED(double, doubles, kMostWarps);
  double own = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) own += x[i];
  const double total = BlockSum(own, doubles);
  if (threadIdx.x == 0) sum[0] += factor * total;
}

}  // namespace

void CudaBackend::CrossEntropy(Tensor& logits, const Tensor& targets, const Tensor& scales,
                               float smoothing, Tensor& losses) {
  const int64_t rows = logits.rows(), cols = logits.cols();
  RETORT_CHECK(targets.elements() == rows && losses.elements() == rows &&
                   (!scales || scales.elements() == rows),
               targets.elements(), " targets, ", losses.elements(), " losses for ", rows, " rows");
  Launch(*queue_, RowEach(rows, kLossThreads), CrossEntropyKernel, Out<float>(logits), cols,
         In<int32_t>(targets), In<float>(scales), static_cast<bool>(scales), smoothing,
         Out<double>(losses));
}

void CudaBackend::AddSum(const Tensor& x, double factor, Tensor& sum) {
  RETORT_CHECK(sum.elements() == 1, "a sum in ", sum.shape().text());
  Launch(*queue_, Grid{1, kSumThreads}, AddSumKernel, In<double>(x), x.elements(), factor,
         Out<double>(sum));
}

}  // namespace retort::cuda
