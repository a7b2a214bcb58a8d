// SPDX-License-Identifier: Apache-2.0
// ggml's Q5_K: 8 groups of 32 values d * scale * q - dmin * minimum; d and dmin f16, scale and
// minimum of a group 6 bits, q 5 bits.
#include "tensor/quant/k_minimum.h"

namespace retort {
namespace {

// Byte 32 i + k of q has the low four bits of value 64 i + k in its low half and those of value
// 64 i + 32 + k in its high half; the fifth bit of value 32 g + k is bit g of high[k].
struct BlockQ5_K {
  F16 d, dmin;
  uint8_t scales[12];
  uint8_t high[32];
  uint8_t q[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

struct Q5_KKernel {
  using Block = BlockQ5_K;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const float d = ScaleOf(b.d), dmin = ScaleOf(b.dmin);
    const KScale low = KScaleOf(b.scales, 2 * quarter), high = KScaleOf(b.scales, 2 * quarter + 1);
    const float d0 = d * static_cast<float>(low.scale), m0 = dmin * static_cast<float>(low.minimum);
    const float d1 = d * static_cast<float>(high.scale);
    const float m1 = dmin * static_cast<float>(high.minimum);
    for (int i = 0; i < 32; i += W) {
      const auto q = Widened<W>(LoadAs<Chars<W>>(b.q + 32 * quarter + i));
      const auto fifths = Widened<W>(LoadAs<Chars<W>>(b.high + i)) >> (2 * quarter);
      Store<W>(out + i, AsFloats<W>((q & 15) | (fifths & 1) << 4) * d0 - m0);
      Store<W>(out + 32 + i, AsFloats<W>(q >> 4 | (fifths & 2) << 3) * d1 - m1);
    }
  }

  template <int W>
  RETORT_INLINE static void Codes(const Block& b, SuperCodes* out) {
    KScalesOf(b.scales, ScaleOf(b.d), ScaleOf(b.dmin), out);
    const Chars<32> fifths = Load32(b.high);
    for (int quarter = 0; quarter < 4; ++quarter) {
      const Chars<32> q = Load32(b.q + 32 * quarter), two = fifths >> (2 * quarter);
      StoreCodes((q & 15) | (two & 1) << 4, out->code + 64 * quarter);
      StoreCodes(q >> 4 | (two & 2) << 3, out->code + 64 * quarter + 32);
    }
  }

  static constexpr KMinimumRule kRule = {
      .top = 31, .scale_top = 63, .search = {-0.5f, 0.1f, 15, false}, .level = true, .spread = 2};

  template <int W>
  RETORT_INLINE static Block Encoded(const float* x, const float* importance) {
    const KMinimumCodes<8> codes = EncodedWithMinima<8, W>(x, importance, kRule);
    Block block{.d = codes.d, .dmin = codes.dmin};
    PackKScales(codes, block.scales);
    Put(codes.code, block);
    return block;
  }

  static BlockGrid Grid(const Block& b) {
    return KMinimumGrid(b.scales, ScaleOf(b.d), ScaleOf(b.dmin), kRule.top);
  }
  static void Put(const uint8_t* codes, Block& block) {
    for (int i = 0; i < 128; ++i) {
      const uint8_t* low = codes + i / 32 * 64 + i % 32;
      block.q[i] = static_cast<uint8_t>((low[0] & 15) | (low[32] & 15) << 4);
    }
    for (int k = 0; k < 32; ++k) {
      int bits = 0;
      for (int g = 0; g < 8; ++g) bits |= codes[32 * g + k] >> 4 << g;
      block.high[k] = static_cast<uint8_t>(bits);
    }
  }
};

}  // namespace

extern const BlockFormat kQ5_KFormat = {.name = "q5_k",
                                        .block_elements = kSuperValues,
                                        .block_bytes = sizeof(BlockQ5_K),
                                        .alignment = alignof(BlockQ5_K),
                                        .ggml_type = 13,
                                        .file_type = 17,
                                        .narrow = "q5_1",
                                        .kl_limit = 0.5,
                                        .decode = DecodeSuperBlocks<Q5_KKernel>,
                                        .columns = DecodeSuperColumns<Q5_KKernel>,
                                        .codes = SuperBlockCodes<Q5_KKernel>,
                                        .code_bits = 5,
                                        .code_group = 32,
                                        .encode = EncodeSuperBlocks<Q5_KKernel>,
                                        .grid = &kGridOf<Q5_KKernel>};

}  // namespace retort
