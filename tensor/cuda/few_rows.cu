// SPDX-License-Identifier: Apache-2.0
// A block makes a few neighbouring outputs: its threads share the columns, decode eight values of
// each of the outputs' rows at a time, and multiply them with every row of x. The weight is read
// once and in order, and nothing decoded is written. What bounds it is the weight's stored bytes,
// if enough of them are on their way: a thread has those of several outputs, and several warps
// share a row. The same eight values of x serve all outputs; x is small and stays in the L1 cache.
#include <algorithm>

#include "tensor/cuda/decode/formats.h"
#include "tensor/cuda/few_rows.h"
#include "tensor/cuda/reduce.h"

namespace retort::cuda {
namespace {

constexpr int kMostSplit = 8;   // warps of a block
constexpr int kMostAtOnce = 8;  // rows of x whose sums a thread holds

template <int kRows, int kOutputs, class Decoder>
__global__ void FewRowsKernel(PlainRows<float> x, Decoder decode, int64_t in, int64_t out,
                              Global<float> y) {
  RETORT_SHARED(float, parts, kRows* kOutputs* kMostSplit);
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t first = int64_t{blockIdx.x} * kOutputs;
  float sums[kRows][kOutputs] = {};
  for (int64_t col = int64_t{threadIdx.x} * kEight; col < in; col += int64_t{blockDim.x} * kEight) {
    float w[kOutputs][kEight];
    for (int o = 0; o < kOutputs; ++o) {
      const int64_t row = first + o < out ? first + o : out - 1;  // the last one again
      decode(row, col, w[o]);
    }
    for (int t = 0; t < kRows; ++t) {
      Eight values;
      x(t, col, values);
      for (int o = 0; o < kOutputs; ++o) {
        for (int j = 0; j < kEight; ++j) sums[t][o] = fmaf(w[o][j], values[j], sums[t][o]);
      }
    }
  }
  for (int t = 0; t < kRows; ++t) {
    for (int o = 0; o < kOutputs; ++o) {
      const float sum = WarpSum(sums[t][o]);
      if (threadIdx.x % kWarp == 0) parts[(t * kOutputs + o) * kMostSplit + warp] = sum;
    }
  }
  __syncthreads();
  const int place = static_cast<int>(threadIdx.x), t = place / kOutputs, o = place % kOutputs;
  if (t >= kRows || first + o >= out) return;
  float sum = 0;
  for (int i = 0; i < warps; ++i) sum += parts[place * kMostSplit + i];
  y[t * out + first + o] = sum;
}

// The order of a sum depends on `in` alone.
template <int kRows, class Decoder>
void RunFewRows(Queue& queue, Global<const float> x, const Decoder& decode, int64_t in, int64_t out,
                Global<float> y) {
  constexpr int kOutputs = kRows <= 2 ? 4 : 2;
  static_assert(kRows * kOutputs <= kWarp);
  constexpr int64_t kWarpCols = kWarp * kEight;
  const int64_t warps = std::clamp<int64_t>((in + kWarpCols - 1) / kWarpCols, 1, kMostSplit);
  const Grid grid{(out + kOutputs - 1) / kOutputs, static_cast<int>(warps) * kWarp};
  Launch(queue, grid, FewRowsKernel<kRows, kOutputs, Decoder>, PlainRows<float>(x, in), decode, in,
         out, y);
}

}  // namespace

void FewRowsProduct(Queue& queue, const Tensor& x, const DeviceWeight& w, const Tensor& y) {
  const int64_t in = w.cols, out = w.rows;
  WithRowDecoder(w, [&](const auto& decode) {
    for (int64_t t = 0; t < x.rows();) {
      const auto run = [&]<int kRows>() {
        RunFewRows<kRows>(queue, In<float>(x) + t * in, decode, in, out, Out<float>(y) + t * out);
        t += kRows;
      };
      const int64_t left = x.rows() - t;
      if (left >= kMostAtOnce) {
        run.template operator()<kMostAtOnce>();
      } else if (left >= 4) {
        run.template operator()<4>();
      } else if (left >= 2) {
        run.template operator()<2>();
      } else {
        run.template operator()<1>();
      }
    }
  });
}

}  // namespace retort::cuda
