// SPDX-License-Identifier: Apache-2.0
// Filling, adding, scaling, biases, dropout and noise. All are bound by memory, where every element
// is read and written once, but dropout and noise: those by drawing random numbers.
#include "tensor/cuda/arguments.h"
#include "tensor/cuda/column_sums.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/philox.h"
#include "tensor/cuda/rows.h"

namespace retort::cuda {
namespace {

template <class T>
__global__ void FillKernel(Global<T> x, int64_t count, T value) {
  const int64_t i = ThreadNumber();
  if (i < count) x[i] = value;
}

__global__ void AddKernel(Global<const float> a, Global<const float> b, int64_t count,
                          Global<float> out) {
  const int64_t i = ThreadNumber();
  if (i < count) out[i] = a[i] + b[i];
}

__global__ void ScaleKernel(Global<float> x, int64_t count, float factor) {
  const int64_t i = ThreadNumber();
  if (i < count) x[i] *= factor;
}

__global__ void AddBiasKernel(Global<float> y, Global<const float> bias, int64_t count,
                              int64_t cols) {
  const int64_t i = ThreadNumber();
  if (i < count) y[i] += bias[i % cols];
}

// y = x * m / (1 - rate), or y +=. A block has a row and so one key, which every thread computes:
// two draws beside those of its quads, a draw for four values.
template <int kWidth>
__global__ void DropoutKernel(Global<const float> x, Global<const int64_t> row_index,
                              Global<const int32_t> row_token, uint64_t seed, uint64_t threshold,
                              float scale, bool add, int64_t cols, Global<float> y) {
  const int64_t t = blockIdx.x, row = row_index[t];
  const int32_t token = row_token[t];
  const RowKey key = KeyOfRow(seed, RandomUse::kDropout, row);
  for (int64_t quad = threadIdx.x; 4 * quad < cols; quad += blockDim.x) {
    const Words words = QuadWords(key, token, quad);
    for (int j = 0; j < 4 && 4 * quad + j < cols; j += kWidth) {
      const int64_t at = t * cols + 4 * quad + j;
      const Vector<float, kWidth> all = LoadVector<kWidth>(x + at);
      Vector<float, kWidth> sum{};
      if (add) sum = LoadVector<kWidth>(y + at);
      for (int i = 0; i < kWidth; ++i)
        sum.value[i] += words.word[j + i] >= threshold ? all.value[i] * scale : 0.0f;
      StoreVector(y + at, sum);
    }
  }
}

__global__ void NoiseKernel(Global<float> x, Global<const int64_t> row_index,
                            Global<const int32_t> row_token, Global<const float> amplitude,
                            uint64_t seed, int64_t count, int64_t cols) {
  const int64_t i = ThreadNumber();
  if (i >= count) return;
  const int64_t t = i / cols, row = row_index[t];
  const int32_t token = row_token[t];
  const int64_t c = i % cols;
  const Words words = QuadWords(KeyOfRow(seed, RandomUse::kNoise, row), token, c / 4);
  x[i] += amplitude[t] * (static_cast<float>(words.word[c % 4]) * 0x1p-31f - 1);
}

void CheckRows(const Tensor& x, const Tensor& row_index, const Tensor& row_token) {
  RETORT_CHECK(row_index.elements() == x.rows() && row_token.elements() == x.rows(),
               row_index.elements(), " and ", row_token.elements(), " row indices for ",
               x.shape().text());
}

void RunDropout(Queue& queue, const Tensor& x, const DropoutMask& mask, bool add, Tensor& y) {
  RETORT_CHECK(x.elements() == y.elements(), x.shape().text(), " into ", y.shape().text());
  CheckRows(x, mask.row_index, mask.row_token);
  RETORT_CHECK(mask.rate >= 0 && mask.rate < 1, "dropout rate ", mask.rate);
  const auto threshold = static_cast<uint64_t>(static_cast<double>(mask.rate) * 0x1p32);
  const int64_t cols = x.cols();
  WithWidth(InFours(cols, In<float>(x), Out<float>(y)), [&]<int kWidth>() {
    Launch(queue, RowBlocks(x.rows(), cols), DropoutKernel<kWidth>, In<float>(x),
           In<int64_t>(mask.row_index), In<int32_t>(mask.row_token), mask.seed, threshold,
           1 / (1 - mask.rate), add, cols, Out<float>(y));
  });
}

}  // namespace

void CudaBackend::Fill(Tensor& x, float value) {
  const int64_t n = x.elements();
  switch (x.dtype()) {
    case DType::kF32:
      return Launch(*queue_, OneEach(n), FillKernel<float>, Out<float>(x), n, value);
    case DType::kF64:
      return Launch(*queue_, OneEach(n), FillKernel<double>, Out<double>(x), n, double{value});
    case DType::kF16:
      return Launch(*queue_, OneEach(n), FillKernel<F16>, Out<F16>(x), n, ToF16(value));
    case DType::kBF16:
      return Launch(*queue_, OneEach(n), FillKernel<BF16>, Out<BF16>(x), n, ToBF16(value));
    default:
      RETORT_CHECK(false, "a number into ", NameOf(x.dtype()));
  }
}

void CudaBackend::Add(const Tensor& a, const Tensor& b, Tensor& out) {
  RETORT_CHECK(a.elements() == b.elements() && a.elements() == out.elements());
  Launch(*queue_, OneEach(out.elements()), AddKernel, In<float>(a), In<float>(b), out.elements(),
         Out<float>(out));
}

void CudaBackend::Accumulate(const Tensor& x, Tensor& sum) { Add(x, sum, sum); }

void CudaBackend::Scale(Tensor& x, float factor) {
  Launch(*queue_, OneEach(x.elements()), ScaleKernel, Out<float>(x), x.elements(), factor);
}

void CudaBackend::AddBias(Tensor& y, const Tensor& bias) {
  RETORT_CHECK(bias.elements() == y.cols(), "bias of ", bias.elements(), " for ", y.cols(),
               " columns");
  Launch(*queue_, OneEach(y.elements()), AddBiasKernel, Out<float>(y), In<float>(bias),
         y.elements(), y.cols());
}

void CudaBackend::BiasGrad(const Tensor& dy, Tensor& dbias) {
  RETORT_CHECK(dbias.elements() == dy.cols(), "bias of ", dbias.elements(), " for ", dy.cols(),
               " columns");
  AddColumnSums(*this, *queue_, dy.rows(), dy.cols(), ColumnValue{In<float>(dy), dy.cols()},
                Out<float>(dbias));
}

void CudaBackend::Dropout(const Tensor& x, const DropoutMask& mask, Tensor& y) {
  RunDropout(*queue_, x, mask, false, y);
}

void CudaBackend::DropoutGrad(const Tensor& dy, const DropoutMask& mask, Tensor& dx) {
  RunDropout(*queue_, dy, mask, true, dx);
}

void CudaBackend::AddNoise(Tensor& x, const UniformNoise& noise) {
  CheckRows(x, noise.row_index, noise.row_token);
  RETORT_CHECK(noise.amplitude.elements() == x.rows(), noise.amplitude.elements(),
               " amplitudes for ", x.shape().text());
  Launch(*queue_, OneEach(x.elements()), NoiseKernel, Out<float>(x), In<int64_t>(noise.row_index),
         In<int32_t>(noise.row_token), In<float>(noise.amplitude), noise.seed, x.elements(),
         x.cols());
}

}  // namespace retort::cuda
