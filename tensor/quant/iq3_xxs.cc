// SPDX-License-Identifier: Apache-2.0
// ggml's IQ3_XXS: 8 groups of 32 values d * (scale + 1/2) / 2 * v, each v of four a point of a
// grid, of eight with an even number of negative signs; d an f16, scale 4 bits. Read only.
#include "tensor/quant/iq_grids.h"

namespace retort {
namespace {

struct BlockIq3Xxs {
  F16 d;
  uint8_t point[64];
  uint16_t groups[8][2];  // one number each: four times seven bits of signs, then the scale
};
static_assert(sizeof(BlockIq3Xxs) == 98);

struct Iq3XxsKernel {
  using Block = BlockIq3Xxs;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const float d = ScaleOf(b.d);
    uint64_t codes[8];
    float scale[4];
    for (int half = 0; half < 2; ++half) {
      const uint16_t* group = b.groups[2 * quarter + half];
      const uint32_t bits = group[0] | uint32_t{group[1]} << 16;
      scale[2 * half] = scale[2 * half + 1] = d * (0.5f + static_cast<float>(bits >> 28)) * 0.5f;
      for (int k = 0; k < 4; ++k) {
        const uint8_t* point = b.point + 16 * quarter + 8 * half + 2 * k;
        const uint64_t eight = kIq3XxsGrid[point[0]] | uint64_t{kIq3XxsGrid[point[1]]} << 32;
        codes[4 * half + k] = WithSigns(eight, EvenSigns(bits >> (7 * k)));
      }
    }
    DecodeSigned<W>(codes, scale, 1, out);
  }
};

}  // namespace

extern const BlockFormat kIq3XxsFormat = {.name = "iq3_xxs",
                                          .block_elements = kSuperValues,
                                          .block_bytes = sizeof(BlockIq3Xxs),
                                          .alignment = alignof(BlockIq3Xxs),
                                          .ggml_type = 18,
                                          .narrow = "iq4_nl",
                                          .kl_limit = 10,
                                          .decode = DecodeSuperBlocks<Iq3XxsKernel>,
                                          .columns = DecodeSuperColumns<Iq3XxsKernel>};

}  // namespace retort
