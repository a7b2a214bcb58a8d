// SPDX-License-Identifier: Apache-2.0
// ggml's IQ1_M: 16 groups of 16 values d * (2 scale + 1) * (v +- 1/8), each v of eight a point of a
// grid; d an f16, scale 3 bits, a sign of 1/8 for each eight. Read only.
#include "tensor/quant/iq_grids.h"

namespace retort {
namespace {

struct BlockIq1M {
  uint8_t point[32];  // the low eight bits
  uint8_t high[16];   // two points a byte: the high three bits, then the sign
  // Four numbers of 16 bits, the low byte first: four times three bits of scales; then four bits of
  // d, the lowest four in the first number.
  uint8_t scales[8];
};
static_assert(sizeof(BlockIq1M) == 56);

struct Iq1MKernel {
  using Block = BlockIq1M;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const auto number = [&](int i) RETORT_INLINE_LAMBDA {
      return b.scales[2 * i] | b.scales[2 * i + 1] << 8;
    };
    int half_bits = 0;
    for (int i = 0; i < 4; ++i) half_bits |= number(i) >> 12 << (4 * i);
    const float d = ScaleOf(F16{static_cast<uint16_t>(half_bits)});
    uint64_t codes[8];
    float scale[4];
    for (int k = 0; k < 4; ++k)
      scale[k] = d * static_cast<float>(2 * (number(quarter) >> (3 * k) & 7) + 1);
    for (int k = 0; k < 8; ++k) {
      const int at = 8 * quarter + k, high = b.high[at / 2] >> (4 * (at % 2));
      const int point = b.point[at] | (high & 7) << 8;
      codes[k] = Iq1Codes(static_cast<size_t>(point), (high & 8) != 0);
    }
    DecodeSigned<W>(codes, scale, 0.125f, out);
  }
};

}  // namespace

extern const BlockFormat kIq1MFormat = {.name = "iq1_m",
                                        .block_elements = kSuperValues,
                                        .block_bytes = sizeof(BlockIq1M),
                                        .alignment = alignof(BlockIq1M),
                                        .ggml_type = 29,
                                        .narrow = "iq4_nl",
                                        .kl_limit = 50,
                                        .decode = DecodeSuperBlocks<Iq1MKernel>,
                                        .columns = DecodeSuperColumns<Iq1MKernel>};

}  // namespace retort
