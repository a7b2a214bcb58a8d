// SPDX-License-Identifier: Apache-2.0
// ggml's IQ2_XXS: 8 groups of 32 values d * (scale + 1/2) / 4 * v, each v of eight a point of a
// grid with an even number of negative signs; d an f16, scale 4 bits. Read only.
#include "tensor/quant/iq_grids.h"

namespace retort {
namespace {

struct Iq2XxsGroup {
  uint8_t point[4];
  uint16_t low, high;  // one number: four times seven bits of signs, then the scale
};
struct BlockIq2Xxs {
  F16 d;
  Iq2XxsGroup groups[8];
};
static_assert(sizeof(BlockIq2Xxs) == 66);

struct Iq2XxsKernel {
  using Block = BlockIq2Xxs;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const float d = ScaleOf(b.d);
    uint64_t codes[8];
    float scale[4];
    for (int half = 0; half < 2; ++half) {
      const Iq2XxsGroup& group = b.groups[2 * quarter + half];
      const uint32_t bits = group.low | uint32_t{group.high} << 16;
      scale[2 * half] = scale[2 * half + 1] = d * (0.5f + static_cast<float>(bits >> 28)) * 0.25f;
      for (int k = 0; k < 4; ++k)
        codes[4 * half + k] = WithSigns(kIq2XxsGrid[group.point[k]], EvenSigns(bits >> (7 * k)));
    }
    DecodeSigned<W>(codes, scale, 1, out);
  }
};

}  // namespace

extern const BlockFormat kIq2XxsFormat = {.name = "iq2_xxs",
                                          .block_elements = kSuperValues,
                                          .block_bytes = sizeof(BlockIq2Xxs),
                                          .alignment = alignof(BlockIq2Xxs),
                                          .ggml_type = 16,
                                          .narrow = "iq4_nl",
                                          .kl_limit = 20,
                                          .decode = DecodeSuperBlocks<Iq2XxsKernel>,
                                          .columns = DecodeSuperColumns<Iq2XxsKernel>};

}  // namespace retort
