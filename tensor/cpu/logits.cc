// SPDX-License-Identifier: Apache-2.0
#include "tensor/logits.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "tensor/cpu/simd.h"

namespace retort {
namespace {

struct MaximaKernel {
  template <int W>
  RETORT_INLINE static void Run(std::span<const float> x, float* most, bool* numbers) {
    Ints<W> odd = {};
    for (size_t begin = 0; begin < x.size(); begin += kLogitsBlock, ++most) {
      const size_t end = std::min(x.size(), begin + kLogitsBlock);
      Floats<W> top = Splat<W>(-std::numeric_limits<float>::infinity());
      size_t i = begin;
      for (; i + W <= end; i += W) {
        const Floats<W> v = Load<W>(x.data() + i);
        odd |= v != v;
        top = Max<W>(v, top);
      }
      *most = MaxLane<W>(top);
      for (; i < end; ++i) {
        odd[0] |= x[i] != x[i];
        if (x[i] > *most) *most = x[i];
      }
    }
    for (int lane = 0; lane < W; ++lane) *numbers &= odd[lane] == 0;
  }
};

struct WeightsKernel {
  template <int W>
  RETORT_INLINE static void Run(std::span<const float> x, float highest, float factor,
                                float* weights, float* sums) {
    for (size_t begin = 0; begin < x.size(); begin += kLogitsBlock, ++sums) {
      const size_t end = std::min(x.size(), begin + kLogitsBlock);
      Floats<W> sum = {};
      size_t i = begin;
      for (; i + W <= end; i += W) {
        const Floats<W> weight = Exp<W>((Load<W>(x.data() + i) - highest) * factor);
        Store<W>(weights + i, weight);
        sum += weight;
      }
      *sums = Sum<W>(sum);
      if (i == end) continue;
      const FirstLanes rest{static_cast<int64_t>(end - i)};
      Store<W>(weights + i, Exp<W>((Load<W>(x.data() + i, rest) - highest) * factor), rest);
      for (; i < end; ++i) *sums += weights[i];
    }
  }
};

}  // namespace

bool BlockMaxima(Isa isa, std::span<const float> logits, std::span<float> most) {
  RETORT_CHECK(most.size() == LogitsBlocks(logits.size()), most.size(), " blocks of ",
               logits.size());
  bool numbers = true;
  CallSimd<MaximaKernel>(isa, logits, most.data(), &numbers);
  return numbers;
}

void ExpWeights(Isa isa, std::span<const float> logits, float highest, float factor,
                std::span<float> weights, std::span<float> sums) {
  RETORT_CHECK(weights.size() == logits.size() && sums.size() == LogitsBlocks(logits.size()),
               weights.size(), " weights, ", sums.size(), " blocks of ", logits.size());
  CallSimd<WeightsKernel>(isa, logits, highest, factor, weights.data(), sums.data());
}

}  // namespace retort
