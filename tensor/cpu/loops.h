// SPDX-License-Identifier: Apache-2.0
// Loops over lanes, elements and rows. The division into pieces depends on the shape alone, never
// on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

#include "base/threads.h"
#include "tensor/cpu/simd.h"

namespace retort {

// op.template Step<W>(i, lanes) for i = begin, begin + W, ... below end.
template <int W, class Op>
RETORT_INLINE void ForLanes(const Op& op, int64_t begin, int64_t end) {
  int64_t i = begin;
  for (; i + W <= end; i += W) op.template Step<W>(i, AllLanes{});
  if (i < end) op.template Step<W>(i, FirstLanes{end - i});
}

// The sum of op.template Term<W>(i, lanes) over [begin, end), in four vectors of running sums that
// are added at the end; so the rounding error grows with length / (4 W). Terms of unused lanes must
// be 0.
template <int W, class Op>
RETORT_INLINE float SumLanes(const Op& op, int64_t begin, int64_t end) {
  Floats<W> sum[4] = {};
  int64_t i = begin;
  for (; i + 4 * W <= end; i += 4 * W) {
    for (int j = 0; j < 4; ++j) sum[j] += op.template Term<W>(i + j * W, AllLanes{});
  }
  for (; i + W <= end; i += W) sum[0] += op.template Term<W>(i, AllLanes{});
  if (i < end) sum[1] += op.template Term<W>(i, FirstLanes{end - i});
  return Sum<W>((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

struct DotTerm {  // for dot products
  const float *a, *b;
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t i, Lanes lanes) const {
    return Load<W>(a + i, lanes) * Load<W>(b + i, lanes);
  }
};

// The size of a piece, in elements, that is worth waking a thread for. Smaller loops run in the
// caller.
inline constexpr int64_t kPieceElements = 16384;
constexpr int64_t RowsPerPiece(int64_t cols) {
  return std::max<int64_t>(1, kPieceElements / std::max<int64_t>(1, cols));
}

// body(begin, end) over [0, n) in pieces of `grain`.
template <class Body>
void ForRanges(ThreadPool& pool, int64_t n, int64_t grain, const Body& body) {
  const auto piece = [&](int64_t p, int) { body(p * grain, std::min(n, (p + 1) * grain)); };
  pool.For((n + grain - 1) / grain, std::cref(piece));
}

struct LanesKernel {
  template <int W, class Op>
  RETORT_INLINE static void Run(const Op* op, int64_t begin, int64_t end) {
    ForLanes<W>(*op, begin, end);
  }
};

// op's steps over n elements, in parallel.
template <class Op>
void ForElements(ThreadPool& pool, Isa isa, int64_t n, const Op& op) {
  ForRanges(pool, n, kPieceElements,
            [&](int64_t begin, int64_t end) { CallSimd<LanesKernel>(isa, &op, begin, end); });
}

// x *= factor
struct ScaleOp {
  float* x;
  float factor;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    Store<W>(x + i, Load<W>(x + i, lanes) * factor, lanes);
  }
};

// Columns per piece where rows are added to rows that several of them may name.
inline constexpr int64_t kAddedColumns = 256;

// out[c] += sum over rows t of op.template Term<W>(t, c, lanes), for a strip of columns. Summed in
// blocks of rows to keep the rounding error small.
struct ColumnSumsKernel {
  static constexpr int64_t kStrip = 128, kRows = 64;

  template <class Op>
  struct AddRow {
    const Op& op;
    int64_t row, first;
    float* sums;
    template <int W, class Lanes>
    RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
      const Floats<W> term = op.template Term<W>(row, first + i, lanes);
      Store<W>(sums + i, Load<W>(sums + i, lanes) + term, lanes);
    }
  };

  template <int W, class Op>
  RETORT_INLINE static void Run(const Op* op, int64_t rows, int64_t begin, int64_t end,
                                float* out) {
    for (int64_t top = 0; top < rows; top += kRows) {
      float sums[kStrip] = {};
      for (int64_t t = top; t < std::min(rows, top + kRows); ++t) {
        ForLanes<W>(AddRow<Op>{*op, t, begin, sums}, 0, end - begin);
      }
      for (int64_t c = begin; c < end; ++c) out[c] += sums[c - begin];
    }
  }
};

template <class Op>
void AddColumnSums(ThreadPool& pool, Isa isa, int64_t rows, int64_t cols, const Op& op,
                   float* out) {
  ForRanges(pool, cols, ColumnSumsKernel::kStrip, [&](int64_t begin, int64_t end) {
    CallSimd<ColumnSumsKernel>(isa, &op, rows, begin, end, out);
  });
}

}  // namespace retort
