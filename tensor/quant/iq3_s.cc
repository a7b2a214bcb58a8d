// SPDX-License-Identifier: Apache-2.0
// ggml's IQ3_S: 8 groups of 32 values d * (2 scale + 1) * v, each v of four a point of a grid with
// signs; d an f16, scale 4 bits. Read only.
#include "tensor/quant/iq_grids.h"

namespace retort {
namespace {

struct BlockIq3S {
  F16 d;
  uint8_t point[64];  // the low eight bits
  uint8_t high[8];    // the ninth bit of eight points
  uint8_t signs[32];
  uint8_t scales[4];  // two groups a byte, the first in the low half
};
static_assert(sizeof(BlockIq3S) == 110);

struct Iq3SKernel {
  using Block = BlockIq3S;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const float d = ScaleOf(b.d);
    uint64_t codes[8];
    float scale[4];
    for (int k = 0; k < 4; ++k) {
      const int bits = b.scales[quarter] >> (4 * (k / 2)) & 15;
      scale[k] = d * static_cast<float>(2 * bits + 1);
    }
    const auto four = [&](int at) RETORT_INLINE_LAMBDA {
      const int high = b.high[at / 8] >> (at % 8) & 1;
      return uint64_t{kIq3SGrid[static_cast<size_t>(b.point[at] | high << 8)]};
    };
    for (int k = 0; k < 8; ++k) {
      const int at = 16 * quarter + 2 * k;
      codes[k] = WithSigns(four(at) | four(at + 1) << 32, b.signs[8 * quarter + k]);
    }
    DecodeSigned<W>(codes, scale, 1, out);
  }
};

}  // namespace

extern const BlockFormat kIq3SFormat = {.name = "iq3_s",
                                        .block_elements = kSuperValues,
                                        .block_bytes = sizeof(BlockIq3S),
                                        .alignment = alignof(BlockIq3S),
                                        .ggml_type = 21,
                                        .narrow = "iq4_nl",
                                        .kl_limit = 10,
                                        .decode = DecodeSuperBlocks<Iq3SKernel>,
                                        .columns = DecodeSuperColumns<Iq3SKernel>};

}  // namespace retort
