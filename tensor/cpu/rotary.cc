// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (Su et al., "RoFormer", arXiv 2104.09864), halves paired as Hugging
// Face stores them.
#include <cmath>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

struct TurnOp {
  const float *x, *cos, *sin;
  int64_t half;
  float sign;  // -1: by minus the angle
  float* y;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> a = Load<W>(x + i, lanes), b = Load<W>(x + half + i, lanes);
    const Floats<W> c = Load<W>(cos + i, lanes), s = Load<W>(sin + i, lanes) * sign;
    Store<W>(y + i, a * c - b * s, lanes);
    Store<W>(y + half + i, b * c + a * s, lanes);
  }
};

struct TurnToken {
  template <int W>
  RETORT_INLINE static void Run(TurnOp op, int64_t heads) {
    for (int64_t h = 0; h < heads; ++h, op.x += 2 * op.half, op.y += 2 * op.half) {
      ForLanes<W>(op, 0, op.half);
    }
  }
};

}  // namespace

void CpuBackend::RotaryTable(std::span<const int32_t> positions, std::span<const double> inv_freq,
                             double amplitude, Tensor& cos, Tensor& sin) {
  const auto rows = static_cast<int64_t>(positions.size()),
             half = static_cast<int64_t>(inv_freq.size());
  RETORT_CHECK(cos.elements() == rows * half && sin.elements() == rows * half);
  ForRanges(pool_, rows, RowsPerPiece(half * 16), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t i = 0; i < half; ++i) {
        const double angle = positions[static_cast<size_t>(t)] * inv_freq[static_cast<size_t>(i)];
        cos.data<float>()[t * half + i] = static_cast<float>(std::cos(angle) * amplitude);
        sin.data<float>()[t * half + i] = static_cast<float>(std::sin(angle) * amplitude);
      }
    }
  });
}

void CpuBackend::Rotary(const Tensor& x, const Tensor& cos, const Tensor& sin, int heads,
                        bool inverse, Tensor& y) {
  const int64_t half = cos.cols(), rows = cos.rows(), cols = heads * 2 * half;
  RETORT_CHECK(x.elements() == rows * cols && y.elements() == x.elements() &&
                   sin.elements() == cos.elements(),
               x.shape().text(), " turned by ", cos.shape().text());
  ForRanges(pool_, rows, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const TurnOp op{x.data<float>() + t * cols,   cos.data<float>() + t * half,
                      sin.data<float>() + t * half, half,
                      inverse ? -1.0f : 1.0f,       y.data<float>() + t * cols};
      CallSimd<TurnToken>(isa_, op, static_cast<int64_t>(heads));
    }
  });
}

}  // namespace retort
