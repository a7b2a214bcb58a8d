// SPDX-License-Identifier: Apache-2.0
// ggml's IQ1_S: 8 groups of 32 values d * (2 scale + 1) * (v +- 1/8), each v of eight a point of a
// grid; d an f16, scale 3 bits, the sign of 1/8 the group's. Read only.
#include "tensor/quant/iq_grids.h"

namespace retort {
namespace {

struct BlockIq1S {
  F16 d;
  uint8_t point[32];   // the low eight bits
  uint16_t groups[8];  // four times the high three bits of a point; the scale; the sign
};
static_assert(sizeof(BlockIq1S) == 50);

struct Iq1SKernel {
  using Block = BlockIq1S;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const float d = ScaleOf(b.d);
    uint64_t codes[8];
    float scale[4];
    for (int half = 0; half < 2; ++half) {
      const int at = 2 * quarter + half, bits = b.groups[at];
      scale[2 * half] = scale[2 * half + 1] = d * static_cast<float>(2 * (bits >> 12 & 7) + 1);
      for (int k = 0; k < 4; ++k) {
        const int point = b.point[4 * at + k] | (bits >> (3 * k) & 7) << 8;
        codes[4 * half + k] = Iq1Codes(static_cast<size_t>(point), (bits & 0x8000) != 0);
      }
    }
    DecodeSigned<W>(codes, scale, 0.125f, out);
  }
};

}  // namespace

extern const BlockFormat kIq1SFormat = {.name = "iq1_s",
                                        .block_elements = kSuperValues,
                                        .block_bytes = sizeof(BlockIq1S),
                                        .alignment = alignof(BlockIq1S),
                                        .ggml_type = 19,
                                        .narrow = "iq4_nl",
                                        .kl_limit = 50,
                                        .decode = DecodeSuperBlocks<Iq1SKernel>,
                                        .columns = DecodeSuperColumns<Iq1SKernel>};

}  // namespace retort
