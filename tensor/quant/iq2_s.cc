// SPDX-License-Identifier: Apache-2.0
// ggml's IQ2_S: 16 groups of 16 values d * (scale + 1/2) / 4 * v, each v of eight a point of a grid
// with signs; d an f16, scale 4 bits. Read only.
#include "tensor/quant/iq_grids.h"

namespace retort {
namespace {

struct BlockIq2S {
  F16 d;
  uint8_t point[32];  // the low eight bits
  uint8_t signs[32];
  uint8_t high[8];    // the high two bits of four points
  uint8_t scales[8];  // two groups a byte, the first in the low half
};
static_assert(sizeof(BlockIq2S) == 82);

struct Iq2SKernel {
  using Block = BlockIq2S;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    uint64_t codes[8];
    float scale[4];
    HalfByteScales(ScaleOf(b.d), b.scales, quarter, scale);
    for (int k = 0; k < 8; ++k) {
      const int at = 8 * quarter + k, high = b.high[at / 4] >> (2 * (at % 4)) & 3;
      codes[k] = WithSigns(kIq2SGrid[static_cast<size_t>(b.point[at] | high << 8)], b.signs[at]);
    }
    DecodeSigned<W>(codes, scale, 1, out);
  }
};

}  // namespace

extern const BlockFormat kIq2SFormat = {.name = "iq2_s",
                                        .block_elements = kSuperValues,
                                        .block_bytes = sizeof(BlockIq2S),
                                        .alignment = alignof(BlockIq2S),
                                        .ggml_type = 22,
                                        .narrow = "iq4_nl",
                                        .kl_limit = 20,
                                        .decode = DecodeSuperBlocks<Iq2SKernel>,
                                        .columns = DecodeSuperColumns<Iq2SKernel>};

}  // namespace retort
