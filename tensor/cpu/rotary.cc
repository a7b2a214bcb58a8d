// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (Su et al., "RoFormer", arXiv 2104.09864).
#include <algorithm>
#include <cmath>
#include <utility>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

struct TurnHalves {
  const float *x, *cos, *sin;
  int64_t half;
  float sign;  // -1: rotates by the negative angle
  float* y;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> a = Load<W>(x + i, lanes), b = Load<W>(x + half + i, lanes);
    const Floats<W> c = Load<W>(cos + i, lanes), s = Load<W>(sin + i, lanes) * sign;
    Store<W>(y + i, a * c - b * s, lanes);
    Store<W>(y + half + i, b * c + a * s, lanes);
  }
};

// The active lanes of one of two vectors of pairs: 2 lanes per pair, minus `before`, within
// [0, width].
RETORT_INLINE AllLanes PairLanes(AllLanes, int64_t, int64_t) { return {}; }
RETORT_INLINE FirstLanes PairLanes(FirstLanes lanes, int64_t before, int64_t width) {
  return {std::clamp<int64_t>(2 * lanes.n - before, 0, width)};
}

struct TurnNeighbours {
  const float *x, *cos, *sin;
  int64_t half;
  float sign;
  float* y;
  // The even lanes of a and b, or the odd ones if kOdd is 1.
  template <int W, int kOdd, int... kLane>
  RETORT_INLINE static Floats<W> EverySecond(Floats<W> a, Floats<W> b,
                                             std::integer_sequence<int, kLane...>) {
    return __builtin_shufflevector(a, b, (2 * kLane + kOdd)...);
  }
  // Interleaves the lanes of a and b, beginning with lane kBegin.
  template <int W, int kBegin, int... kLane>
  RETORT_INLINE static Floats<W> InTurn(Floats<W> a, Floats<W> b,
                                        std::integer_sequence<int, kLane...>) {
    return __builtin_shufflevector(a, b, (kBegin + kLane / 2 + kLane % 2 * W)...);
  }
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    constexpr auto kLanes = std::make_integer_sequence<int, W>();
    const auto low = PairLanes(lanes, 0, W), high = PairLanes(lanes, W, W);
    const Floats<W> first = Load<W>(x + 2 * i, low), second = Load<W>(x + 2 * i + W, high);
    const Floats<W> a = EverySecond<W, 0>(first, second, kLanes),
                    b = EverySecond<W, 1>(first, second, kLanes);
    const Floats<W> c = Load<W>(cos + i, lanes), s = Load<W>(sin + i, lanes) * sign;
    const Floats<W> even = a * c - b * s, odd = b * c + a * s;
    Store<W>(y + 2 * i, InTurn<W, 0>(even, odd, kLanes), low);
    Store<W>(y + 2 * i + W, InTurn<W, W / 2>(even, odd, kLanes), high);
  }
};

struct TurnToken {
  template <int W, class Op>
  RETORT_INLINE static void Run(Op op, int64_t heads, int64_t width) {
    const int64_t turned = 2 * op.half;
    for (int64_t h = 0; h < heads; ++h, op.x += width, op.y += width) {
      ForLanes<W>(op, 0, op.half);
      if (turned < width && op.x != op.y) std::copy(op.x + turned, op.x + width, op.y + turned);
    }
  }
};

}  // namespace

void CpuBackend::RotaryTable(const Tensor& positions, const Tensor& inv_freq, double amplitude,
                             Tensor& cos, Tensor& sin) {
  const int64_t rows = positions.elements(), half = inv_freq.elements();
  RETORT_CHECK(cos.elements() == rows * half && sin.elements() == rows * half);
  ForRanges(pool_, rows, RowsPerPiece(half * 16), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t i = 0; i < half; ++i) {
        const double angle = positions.data<int32_t>()[t] * inv_freq.data<double>()[i];
        cos.data<float>()[t * half + i] = static_cast<float>(std::cos(angle) * amplitude);
        sin.data<float>()[t * half + i] = static_cast<float>(std::sin(angle) * amplitude);
      }
    }
  });
}

void CpuBackend::Rotary(const Tensor& x, const Tensor& cos, const Tensor& sin, int heads,
                        bool inverse, Tensor& y, RotaryPairs pairs) {
  const int64_t half = cos.cols(), rows = cos.rows(), cols = x.cols(), width = cols / heads;
  RETORT_CHECK(x.elements() == rows * cols && width * heads == cols && 2 * half <= width &&
                   y.elements() == x.elements() && sin.elements() == cos.elements(),
               x.shape().text(), " of ", heads, " heads turned by ", cos.shape().text());
  const auto turn = [&]<class Op>(const Op&) {
    ForRanges(pool_, rows, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const Op op{x.data<float>() + t * cols,   cos.data<float>() + t * half,
                    sin.data<float>() + t * half, half,
                    inverse ? -1.0f : 1.0f,       y.data<float>() + t * cols};
        CallSimd<TurnToken>(isa_, op, static_cast<int64_t>(heads), width);
      }
    });
  };
  pairs == RotaryPairs::kHalves ? turn(TurnHalves{}) : turn(TurnNeighbours{});
}

}  // namespace retort
