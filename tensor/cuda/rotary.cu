// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding. A thread turns one pair of one head of a token, or copies one of the
// values that stay, so that x and y may be the same. Bound by memory.
#include "tensor/cuda/arguments.h"
#include "tensor/cuda/cuda_backend.h"

namespace retort::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void RotaryTableKernel(Global<const int32_t> positions, Global<const double> inv_freq,
                                  double amplitude, int64_t count, int64_t half,
                                  Global<float> cosines, Global<float> sines) {
  const int64_t i = ThreadNumber();
  if (i >= count) return;
  const int32_t position = positions[i / half];
  const double angle = position * inv_freq[i % half];
  double sine = 0, cosine = 0;
  sincos(angle, &sine, &cosine);
  cosines[i] = static_cast<float>(cosine * amplitude);
  sines[i] = static_cast<float>(sine * amplitude);
}

// Block (token, strip of its pairs and values that stay). sign: -1 turns back.
template <RotaryPairs kPairs>
__global__ void RotaryKernel(Global<const float> x, Global<const float> cosines,
                             Global<const float> sines, int heads, int width, int half, float sign,
                             Global<float> y) {
  const int each = width - half;  // pairs and values that stay, of a head
  const int item = static_cast<int>(blockIdx.y) * kThreads + static_cast<int>(threadIdx.x);
  const int head = item / each, i = item % each;
  if (head >= heads) return;
  const int64_t t = blockIdx.x, at = (t * heads + head) * width;
  if (i >= half) {
    const float kept = x[at + half + i];
    y[at + half + i] = kept;
    return;
  }
  constexpr bool kHalves = kPairs == RotaryPairs::kHalves;
  const int64_t first = at + (kHalves ? i : 2 * i), second = kHalves ? first + half : first + 1;
  const float a = x[first], b = x[second];
  const float c = cosines[t * half + i], s = sines[t * half + i] * sign;
  y[first] = a * c - b * s;
  y[second] = b * c + a * s;
}

}  // namespace

void CudaBackend::RotaryTable(const Tensor& positions, const Tensor& inv_freq, double amplitude,
                              Tensor& cos, Tensor& sin) {
  const int64_t half = inv_freq.elements(), count = positions.elements() * half;
  RETORT_CHECK(cos.elements() == count && sin.elements() == count, "rotary table ",
               cos.shape().text());
  Launch(*queue_, OneEach(count), RotaryTableKernel, In<int32_t>(positions), In<double>(inv_freq),
         amplitude, count, half, Out<float>(cos), Out<float>(sin));
}

void CudaBackend::Rotary(const Tensor& x, const Tensor& cos, const Tensor& sin, int heads,
                         bool inverse, Tensor& y, RotaryPairs pairs) {
  const int64_t half = cos.cols(), rows = cos.rows(), cols = x.cols(), width = cols / heads;
  RETORT_CHECK(x.elements() == rows * cols && width * heads == cols && 2 * half <= width &&
                   y.elements() == x.elements() && sin.elements() == cos.elements(),
               x.shape().text(), " of ", heads, " heads turned by ", cos.shape().text());
  const auto turn = [&](auto kernel) {
    const int64_t items = heads * (width - half);
    Launch(*queue_, {rows, kThreads, (items + kThreads - 1) / kThreads}, kernel, In<float>(x),
           In<float>(cos), In<float>(sin), heads, static_cast<int>(width), static_cast<int>(half),
           inverse ? -1.0f : 1.0f, Out<float>(y));
  };
  if (pairs == RotaryPairs::kHalves) {
    turn(RotaryKernel<RotaryPairs::kHalves>);
  } else {
    turn(RotaryKernel<RotaryPairs::kNeighbours>);
  }
}

}  // namespace retort::cuda
