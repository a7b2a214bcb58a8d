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

// Values [col, col + 8) of a row of n, zeros beyond its end. As two vectors if there are always
// eight, aligned: single reads, 32 bytes apart from lane to lane, would take longer than the weight.
template <bool kVectors>
__device__ void LoadEight(Global<const float> row, int64_t col, int64_t n, Eight& out) {
  if constexpr (kVectors) {
    for (int i = 0; i < kEight; i += 4) {
      const Vector<float, 4> v = LoadVector<4>(row + (col + i));
      for (int j = 0; j < 4; ++j) out[i + j] = v.value[j];
    }
  } else {
    for (int j = 0; j < kEight; ++j) {
      out[j] = 0;
      if (col + j < n) out[j] = row[col + j];
    }
  }
}

template <int kRows, bool kVectors, class Decoder>
__global__ void FewRowsKernel(Global<const float> x, Decoder decode, int64_t in, int64_t out,
                              Global<float> y) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t o = int64_t{blockIdx.x} * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  float sums[kRows] = {};
  if (o < out) {
#pragma unroll(kRows == 1 ? 4 : 1)  // so that a lane waits for several reads at a time
    for (int64_t col = int64_t{lane} * kEight; col < in; col += kWarp * kEight) {
      Eight w;
      decode(o, col, w);
#pragma unroll
      for (int t = 0; t < kRows; ++t) {
        Eight values;
        LoadEight<kVectors>(x + t * in, col, in, values);
        for (int j = 0; j < kEight; ++j) sums[t] = fmaf(w[j], values[j], sums[t]);
      }
    }
  }
  for (int t = 0; t < kRows; ++t) {
    const float sum = WarpSum(sums[t]);
    if (lane == 0 && o < out) y[t * out + o] = sum;
  }
}

template <int kRows, bool kVectors, class Decoder>
void RunFewRows(Queue& queue, Global<const float> x, const Decoder& decode, int64_t in, int64_t out,
                Global<float> y) {
  Launch(queue, {(out + kWarps - 1) / kWarps, kWarps * kWarp},
         FewRowsKernel<kRows, kVectors, Decoder>, x, decode, in, out, y);
}

}  // namespace

void FewRowsProduct(Queue& queue, const Tensor& x, const DeviceWeight& w, const Tensor& y) {
  const int64_t in = w.cols, out = w.rows;
  const bool vectors = in % kEight == 0 && Aligned<4>(In<float>(x));
  WithRowDecoder(w, [&](const auto& decode) {
    for (int64_t t = 0; t < x.rows();) {
      const Global<const float> from = In<float>(x) + t * in;
      const Global<float> to = Out<float>(y) + t * out;
      const int64_t left = x.rows() - t;
      if (!vectors) {
        RunFewRows<1, false>(queue, from, decode, in, out, to);
        t += 1;
      } else if (left >= kMostAtOnce) {
        RunFewRows<kMostAtOnce, true>(queue, from, decode, in, out, to);
        t += kMostAtOnce;
      } else if (left >= 2) {
        RunFewRows<2, true>(queue, from, decode, in, out, to);
        t += 2;
      } else {
        RunFewRows<1, true>(queue, from, decode, in, out, to);
        t += 1;
      }
    }
  });
}

}  // namespace retort::cuda
