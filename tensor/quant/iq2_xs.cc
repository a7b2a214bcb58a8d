// SPDX-License-Identifier: Apache-2.0
// ggml's IQ2_XS: 16 groups of 16 values d * (scale + 1/2) / 4 * v, each v of eight a point of a
// grid with an even number of negative signs; d an f16, scale 4 bits. Read only.
#include "tensor/quant/iq_grids.h"

namespace retort {
namespace {

struct BlockIq2Xs {
  F16 d;
  uint16_t q[32];     // a point in nine bits, signs in seven
  uint8_t scales[8];  // two groups a byte, the first in the low half
};
static_assert(sizeof(BlockIq2Xs) == 74);

struct Iq2XsKernel {
  using Block = BlockIq2Xs;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    uint64_t codes[8];
    float scale[4];
    HalfByteScales(ScaleOf(b.d), b.scales, quarter, scale);
    for (int k = 0; k < 8; ++k) {
      const uint16_t q = b.q[8 * quarter + k];
      codes[k] = WithSigns(kIq2XsGrid[q & 511], EvenSigns(q >> 9));
    }
    DecodeSigned<W>(codes, scale, 1, out);
  }
};

}  // namespace

extern const BlockFormat kIq2XsFormat = {.name = "iq2_xs",
                                         .block_elements = kSuperValues,
                                         .block_bytes = sizeof(BlockIq2Xs),
                                         .alignment = alignof(BlockIq2Xs),
                                         .ggml_type = 17,
                                         .narrow = "iq4_nl",
                                         .kl_limit = 20,
                                         .decode = DecodeSuperBlocks<Iq2XsKernel>,
                                         .columns = DecodeSuperColumns<Iq2XsKernel>};

}  // namespace retort
