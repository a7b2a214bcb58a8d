// SPDX-License-Identifier: Apache-2.0
// ggml's TQ2_0: ternary values (tensor/quant/ternary.h), codes of 2 bits.
#include "tensor/quant/k_pairs.h"
#include "tensor/quant/ternary.h"

namespace retort {
namespace {

struct BlockTq2 {
  uint8_t q[64];  // tensor/quant/k_pairs.h
  F16 d;
};
static_assert(sizeof(BlockTq2) == 66);

struct Tq2Kernel {
  using Block = BlockTq2;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const float d = ScaleOf(b.d);
    for (int i = 0; i < 64; i += W)
      Store<W>(out + i, AsFloats<W>(PairsOf<W>(b.q, quarter, i) - 1) * d);
  }

  template <int W>
  RETORT_INLINE static Block Encoded(const float* x, const float* /*importance*/) {
    uint8_t codes[kSuperValues];
    Block block{.d = TernaryCodes<W>(x, codes)};
    PackPairs(codes, block.q);
    return block;
  }
};

}  // namespace

extern const BlockFormat kTq2Format = {.name = "tq2_0",
                                       .block_elements = kSuperValues,
                                       .block_bytes = sizeof(BlockTq2),
                                       .alignment = alignof(BlockTq2),
                                       .ggml_type = 35,
                                       .file_type = 37,
                                       .narrow = "q4_0",
                                       .kl_limit = 20,
                                       .decode = DecodeSuperBlocks<Tq2Kernel>,
                                       .columns = DecodeSuperColumns<Tq2Kernel>,
                                       .encode = EncodeSuperBlocks<Tq2Kernel>};

}  // namespace retort
