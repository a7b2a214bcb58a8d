// SPDX-License-Identifier: Apache-2.0
// ggml's Q4_K: 8 groups of 32 values d * scale * q - dmin * minimum; d and dmin f16, scale and
// minimum of a group 6 bits, q 4 bits.
#include "tensor/quant/k_minimum.h"

namespace retort {
namespace {

// Byte 32 i + k of q has value 64 i + k in its low and value 64 i + 32 + k in its high four bits.
struct BlockQ4_K {
  F16 d, dmin;
  uint8_t scales[12];
  uint8_t q[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

struct Q4_KKernel {
  using Block = BlockQ4_K;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const float d = ScaleOf(b.d), dmin = ScaleOf(b.dmin);
    const KScale low = KScaleOf(b.scales, 2 * quarter), high = KScaleOf(b.scales, 2 * quarter + 1);
    const float d0 = d * static_cast<float>(low.scale), m0 = dmin * static_cast<float>(low.minimum);
    const float d1 = d * static_cast<float>(high.scale);
    const float m1 = dmin * static_cast<float>(high.minimum);
    for (int i = 0; i < 32; i += W) {
      const auto q = Widened<W>(LoadAs<Chars<W>>(b.q + 32 * quarter + i));
      Store<W>(out + i, AsFloats<W>(q & 15) * d0 - m0);
      Store<W>(out + 32 + i, AsFloats<W>(q >> 4) * d1 - m1);
    }
  }

  template <int W>
  RETORT_INLINE static void Codes(const Block& b, SuperCodes* out) {
    KScalesOf(b.scales, ScaleOf(b.d), ScaleOf(b.dmin), out);
    for (int quarter = 0; quarter < 4; ++quarter) {
      const Chars<32> q = Load32(b.q + 32 * quarter);
      StoreCodes(q & 15, out->code + 64 * quarter);
      StoreCodes(q >> 4, out->code + 64 * quarter + 32);
    }
  }

  static constexpr KMinimumRule kRule = {
      .top = 15, .scale_top = 63, .search = {-1.0f, 0.1f, 20, false}, .level = true, .spread = 2};

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
      block.q[i] = static_cast<uint8_t>(low[0] | low[32] << 4);
    }
  }
};

}  // namespace

extern const BlockFormat kQ4_KFormat = {.name = "q4_k",
                                        .block_elements = kSuperValues,
                                        .block_bytes = sizeof(BlockQ4_K),
                                        .alignment = alignof(BlockQ4_K),
                                        .ggml_type = 12,
                                        .file_type = 15,
                                        .narrow = "q5_0",
                                        .kl_limit = 1.0,
                                        .decode = DecodeSuperBlocks<Q4_KKernel>,
                                        .columns = DecodeSuperColumns<Q4_KKernel>,
                                        .codes = SuperBlockCodes<Q4_KKernel>,
                                        .code_bits = 4,
                                        .code_group = 32,
                                        .encode = EncodeSuperBlocks<Q4_KKernel>,
                                        .grid = &kGridOf<Q4_KKernel>};

}  // namespace retort
