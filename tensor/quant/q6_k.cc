// SPDX-License-Identifier: Apache-2.0
// ggml's Q6_K: 16 groups of 16 values d * scale * (q - 32); d an f16, scale an int8, q 6 bits.
#include <cmath>

#include "tensor/quant/k_symmetric.h"

namespace retort {
namespace {

// The low four bits of values 128 h + k and 128 h + 64 + k are in byte 64 h + k of low; the high
// two bits of value 128 h + 32 j + k, j = 0 to 3, are bits 2 j and 2 j + 1 of byte 32 h + k of
// high.
struct BlockQ6_K {
  uint8_t low[128];
  uint8_t high[64];
  int8_t scales[16];
  F16 d;
};
static_assert(sizeof(BlockQ6_K) == 210);

struct Q6_KKernel {
  using Block = BlockQ6_K;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const float d = ScaleOf(b.d);
    const int half = quarter / 2, upper = quarter % 2;
    for (int i = 0; i < 64; i += W) {
      const auto low = Widened<W>(LoadAs<Chars<W>>(b.low + 64 * half + i)) >> (4 * upper) & 15;
      const auto high = Widened<W>(LoadAs<Chars<W>>(b.high + 32 * half + i % 32));
      const Ints<W> q = (low | (high >> (4 * upper + 2 * (i / 32)) & 3) << 4) - 32;
      const int group = 4 * quarter + i / 16;
      const float scale = d * static_cast<float>(b.scales[group]);
      Store<W>(out + i, AsFloats<W>(q) * scale);
    }
  }

  template <int W>
  RETORT_INLINE static void Codes(const Block& b, SuperCodes* out) {
    const float d = ScaleOf(b.d);
    for (int i = 0; i < 16; i += W) {
      const auto scales = WidenedSigned<W>(LoadAs<SignedChars<W>>(b.scales + i));
      Store<W>(out->scale + i, AsFloats<W>(scales) * d);
      Store<W>(out->minimum + i, AsFloats<W>(scales) * d * 32);
    }
    for (int half = 0; half < 2; ++half) {
      const Chars<32> high = Load32(b.high + 32 * half);
      for (int j = 0; j < 4; ++j) {
        const Chars<32> low = Load32(b.low + 64 * half + 32 * (j % 2)) >> (j < 2 ? 0 : 4) & 15;
        StoreCodes(low | (high >> (2 * j) & 3) << 4, out->code + 128 * half + 32 * j);
      }
    }
  }

  static BlockGrid Grid(const Block& b) {
    BlockGrid grid{IntegerLevels(-32, 64), true, kSymmetricValues, {}, {}};
    for (int g = 0; g < 16; ++g) grid.scale[g] = ScaleOf(b.d) * static_cast<float>(b.scales[g]);
    return grid;
  }
  static void Put(const uint8_t* codes, Block& block) {
    for (int i = 0; i < 128; ++i) {
      const uint8_t* at = codes + i / 64 * 128 + i % 64;
      block.low[i] = static_cast<uint8_t>((at[0] & 15) | (at[64] & 15) << 4);
    }
    for (int i = 0; i < 64; ++i) {
      const uint8_t* at = codes + i / 32 * 128 + i % 32;
      block.high[i] =
          static_cast<uint8_t>(at[0] >> 4 | at[32] >> 4 << 2 | at[64] >> 4 << 4 | at[96] >> 4 << 6);
    }
  }

  // A value's weight is its square, or its importance.
  template <int W>
  RETORT_INLINE static Block Encoded(const float* x, const float* importance) {
    float scale[16];
    Ints<W> codes[16 / W][16];
    const auto fit = [&](const Floats<W>* values, int first, Ints<W>* group_codes)
                         RETORT_INLINE_LAMBDA {
                           Floats<W> weight[16];
                           for (int i = 0; i < 16; ++i) weight[i] = values[i] * values[i];
                           if (importance) GroupsToLanes<W, 16>(importance + first, weight);
                           return FitAroundZero<W, 16>(values, weight, 32, group_codes);
                         };
    FitGroups<W>(x, fit, scale, codes);
    const float extreme = ExtremeScale(scale);
    if (std::abs(extreme) < kZeroGroup) return Block{};
    const float inverse = -128 / extreme;
    const F16 d = ToF16(1 / inverse);
    int8_t scales[16];
    for (int g = 0; g < 16; ++g) {
      scales[g] = static_cast<int8_t>(std::min(127, Nearest(inverse * scale[g])));
      scale[g] = ScaleOf(d) * static_cast<float>(scales[g]);
    }
    uint8_t bytes[kSuperValues];
    RoundGroups<W>(x, scale, 32, codes, bytes);
    Block block{.d = d};
    std::copy_n(scales, 16, block.scales);
    Put(bytes, block);
    return block;
  }
};

}  // namespace

extern const BlockFormat kQ6_KFormat = {.name = "q6_k",
                                        .block_elements = kSuperValues,
                                        .block_bytes = sizeof(BlockQ6_K),
                                        .alignment = alignof(BlockQ6_K),
                                        .ggml_type = 14,
                                        .file_type = 18,
                                        .narrow = "q8_0",
                                        .kl_limit = 0.1,
                                        .decode = DecodeSuperBlocks<Q6_KKernel>,
                                        .columns = DecodeSuperColumns<Q6_KKernel>,
                                        .codes = SuperBlockCodes<Q6_KKernel>,
                                        .code_bits = 6,
                                        .code_group = 16,
                                        .encode = EncodeSuperBlocks<Q6_KKernel>,
                                        .grid = &kGridOf<Q6_KKernel>};

}  // namespace retort
