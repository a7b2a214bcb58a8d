// SPDX-License-Identifier: Apache-2.0
// A warp makes one output column: its lanes decode eight values of the weight's row at a time and
// multiply them with every row of x. The weight is read once and in order, and nothing decoded is
// written: bound by the weight's stored bytes. x is small and stays in the caches.
#include "tensor/cuda/decode/formats.h"
#include "tensor/cuda/few_rows.h"
#include "tensor/cuda/reduce.h"

namespace retort::cuda {
namespace {

constexpr int kWarps = 8;       // of a block: eight neighbouring outputs
constexpr int kMostAtOnce = 8;  // rows of x whose sums a lane holds

template <int kRows, class Decoder>
__global__ void FewRowsKernel(Global<const float> x, Decoder decode, int64_t in, int64_t out,
                              Global<float> y) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t o = int64_t{blockIdx.x} * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  float sums[kRows] = {};
  if (o < out) {
    for (int64_t col = int64_t{lane} * kEight; col < in; col += kWarp * kEight) {
      Eight w;
      decode(o, col, w);
      const int64_t count = in - col < kEight ? in - col : kEight;
      for (int t = 0; t < kRows; ++t) {
        for (int j = 0; j < kEight; ++j) {
          if (j >= count) break;
          const float value = x[t * in + col + j];
          sums[t] = fmaf(w[j], value, sums[t]);
        }
      }
    }
  }
  for (int t = 0; t < kRows; ++t) {
    const float sum = WarpSum(sums[t]);
    if (lane == 0 && o < out) y[t * out + o] = sum;
  }
}

template <int kRows, class Decoder>
void RunFewRows(Queue& queue, Global<const float> x, const Decoder& decode, int64_t in, int64_t out,
                Global<float> y) {
  Launch(queue, {(out + kWarps - 1) / kWarps, kWarps * kWarp}, FewRowsKernel<kRows, Decoder>, x,
         decode, in, out, y);
}

}  // namespace

void FewRowsProduct(Queue& queue, const Tensor& x, const DeviceWeight& w, const Tensor& y) {
  const int64_t in = w.cols, out = w.rows;
  WithRowDecoder(w, [&](const auto& decode) {
    for (int64_t t = 0; t < x.rows();) {
      const Global<const float> from = In<float>(x) + t * in;
      const Global<float> to = Out<float>(y) + t * out;
      const int64_t left = x.rows() - t;
      if (left >= kMostAtOnce) {
        RunFewRows<kMostAtOnce>(queue, from, decode, in, out, to);
        t += kMostAtOnce;
      } else if (left >= 2) {
        RunFewRows<2>(queue, from, decode, in, out, to);
        t += 2;
      } else {
        RunFewRows<1>(queue, from, decode, in, out, to);
        t += 1;
      }
    }
  });
}

}  // namespace retort::cuda
