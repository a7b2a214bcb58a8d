// SPDX-License-Identifier: Apache-2.0
// Decode and columns of formats with blocks of 256 values, as templates over a kernel that decodes
// a quarter of a block.
#pragma once

#include "tensor/cpu/fetch.h"
#include "tensor/quant/fit.h"
#include "tensor/quant/format_kernels.h"
#include "tensor/quant/super_codes.h"

namespace retort {

inline constexpr int64_t kSuperValues = 256;

// Kernel defines
//   using Block = ...;
//   // Values [64 quarter, 64 quarter + 64) of the block.
//   template <int W> RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out);
template <class Kernel>
struct InQuarters {
  using Block = typename Kernel::Block;
  template <int W>
  RETORT_INLINE static void Run(const Block* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b) {
      for (int quarter = 0; quarter < 4; ++quarter, out += kDecodedCols)
        Kernel::template Quarter<W>(in[b], quarter, out);
    }
  }
};
template <class Kernel>
void DecodeSuperBlocks(Isa isa, const Weight& w, int64_t first, int64_t blocks, float* out) {
  CallSimd<InQuarters<Kernel>>(isa, BlocksOf<typename Kernel::Block>(w, first), blocks, out);
}

// One quarter of a block in each of many rows, which are prefetched as in ColumnsKernel.
template <class Kernel>
struct QuarterColumns {
  static_assert(kDecodedCols * 4 == kSuperValues);
  static constexpr int64_t kAhead = 8;
  using Block = typename Kernel::Block;
  template <int W>
  RETORT_INLINE static void Run(const Block* in, int64_t stride, int quarter, int64_t count,
                                float* out) {
    for (int64_t k = 0; k < count; ++k) {
      const auto* ahead =
          reinterpret_cast<const std::byte*>(in + std::min(k + kAhead, count - 1) * stride);
      for (size_t line = 0; line < sizeof(Block); line += 64) __builtin_prefetch(ahead + line);
      Kernel::template Quarter<W>(in[k * stride], quarter, out + k * kDecodedCols);
    }
  }
};
template <class Kernel>
void DecodeSuperColumns(Isa isa, const Weight& w, int64_t first, int64_t count, int64_t col,
                        float* out) {
  const int64_t row_blocks = w.cols() / kSuperValues;
  const auto* in = BlocksOf<typename Kernel::Block>(w, first * row_blocks + col / kSuperValues);
  const auto quarter = static_cast<int>(col % kSuperValues / kDecodedCols);
  CallSimd<QuarterColumns<Kernel>>(isa, in, row_blocks, quarter, count, out);
}

// BlockFormat::codes. Kernel defines
//   template <int W> RETORT_INLINE static void Codes(const Block& b, SuperCodes* out);
template <class Kernel>
struct CodesKernel {
  using Block = typename Kernel::Block;
  template <int W>
  RETORT_INLINE static void Run(const Block* in, int64_t blocks, SuperCodes* out) {
    for (int64_t b = 0; b < blocks; ++b) {
      FetchAhead<sizeof(Block)>(in + b);
      Kernel::template Codes<W>(in[b], out + b);
    }
  }
};
template <class Kernel>
void SuperBlockCodes(Isa isa, const Weight& w, int64_t first, int64_t blocks, SuperCodes* out) {
  CallSimd<CodesKernel<Kernel>>(isa, BlocksOf<typename Kernel::Block>(w, first), blocks, out);
}

// BlockFormat::encode. Kernel defines
//   template <int W>  // at most 8
//   RETORT_INLINE static Block Encoded(const float* x, const float* importance);
// for 256 values; importance may be null.
template <class Kernel>
struct EncodeSuperKernel {
  template <int W>
  RETORT_INLINE static void Run(const float* row, const float* importance, int64_t blocks,
                                std::byte* out) {
    for (int64_t b = 0; b < blocks; ++b, row += kSuperValues) {
      const auto block = Kernel::template Encoded<kFitLanes<W>>(row, importance);
      std::memcpy(out + b * int64_t{sizeof block}, &block, sizeof block);
      if (importance) importance += kSuperValues;
    }
  }
};
template <class Kernel>
void EncodeSuperBlocks(Isa isa, const float* row, const float* importance, int64_t count,
                       std::byte* out) {
  CallSimd<EncodeSuperKernel<Kernel>>(isa, row, importance, count / kSuperValues, out);
}

}  // namespace retort
