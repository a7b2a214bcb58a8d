// SPDX-License-Identifier: Apache-2.0
// Encoding of formats with blocks of 32 values that are chosen by a search (fit.h): a block a lane.
#pragma once

#include "tensor/quant/fit.h"
#include "tensor/quant/format_kernels.h"

namespace retort {

// BlockFormat::encode. Kernel defines, besides Block,
//   // Blocks of W times 32 values, in lanes; `importance` of the same values in lanes, or null.
//   // row_square is the mean square of the row.
//   template <int W> RETORT_INLINE static void EncodeLanes(const Floats<W>* x,
//       const Floats<W>* importance, float row_square, Block* out);
template <class Kernel>
struct EncodeLanesKernel {
  using Block = typename Kernel::Block;
  template <int kWidth>
  RETORT_INLINE static void Run(const float* row, const float* importance, int64_t blocks,
                                std::byte* out) {
    constexpr int W = kFitLanes<kWidth>;
    const float row_square =
        importance ? SumOfSquares(row, 32 * blocks) / static_cast<float>(32 * blocks) : 0;
    for (int64_t b = 0; b < blocks; b += W) {
      const int64_t count = std::min<int64_t>(W, blocks - b);
      const auto lanes = [&](const float* from, Floats<W>* to) RETORT_INLINE_LAMBDA {
        float padded[W * 32] = {};
        std::copy_n(from + 32 * b, 32 * count, padded);
        GroupsToLanes<W, 32>(padded, to);
      };
      Floats<W> x[32], weight[32];
      lanes(row, x);
      if (importance) lanes(importance, weight);
      Block encoded[W];
      Kernel::template EncodeLanes<W>(x, importance ? weight : nullptr, row_square, encoded);
      std::memcpy(out + b * int64_t{sizeof(Block)}, encoded,
                  static_cast<size_t>(count) * sizeof(Block));
    }
  }
};
// The weights of values in such blocks: importance times sqrt(x^2 + the row's mean square).
template <int W>
RETORT_INLINE void WeighInRow(const Floats<W>* x, const Floats<W>* importance, float row_square,
                              Floats<W>* weight) {
  for (int i = 0; i < 32; ++i) weight[i] = importance[i] * Sqrt<W>(row_square + x[i] * x[i]);
}
// Encodes blocks d * (q - middle); put(block, d, codes) fills one.
template <int W, class Block, class Put>
RETORT_INLINE void EncodeAroundZero(const Floats<W>* x, const Floats<W>* importance,
                                    float row_square, int middle, Block* out, const Put& put) {
  Floats<W> weight[32];
  WeighInRow<W>(x, importance, row_square, weight);
  Ints<W> codes[32];
  const Floats<W> scale = FitAroundZero<W, 32>(x, weight, middle, codes);
  uint8_t bytes[W * 32];
  LanesToGroups<W, 32>(codes, bytes);
  for (int g = 0; g < W; ++g) put(out[g], scale[g], bytes + 32 * g);
}
// Encodes blocks d * q + m; put(block, d, m, codes) fills one.
template <int W, class Block, class Put>
RETORT_INLINE void EncodeFromMinimum(const Floats<W>* x, const Floats<W>* importance,
                                     float row_square, int top, Block* out, const Put& put) {
  Floats<W> weight[32];
  WeighInRow<W>(x, importance, row_square, weight);
  FitWithMinimum<W, 32> fit;
  Fit<W, 32>(x, weight, top, kSearchByImportance, &fit);
  uint8_t bytes[W * 32];
  LanesToGroups<W, 32>(fit.codes, bytes);
  for (int g = 0; g < W; ++g) put(out[g], fit.scale[g], -fit.below[g], bytes + 32 * g);
}

template <class Kernel>
void EncodeBlocksInLanes(Isa isa, const float* row, const float* importance, int64_t count,
                         std::byte* out) {
  CallSimd<EncodeLanesKernel<Kernel>>(isa, row, importance, count / 32, out);
}
// As above; without importance as EncodeBlocks does.
template <class Kernel>
void EncodeBlocksByImportance(Isa isa, const float* row, const float* importance, int64_t count,
                              std::byte* out) {
  if (!importance) return EncodeBlocks<Kernel>(isa, row, nullptr, count, out);
  CallSimd<EncodeLanesKernel<Kernel>>(isa, row, importance, count / 32, out);
}

}  // namespace retort
