// SPDX-License-Identifier: Apache-2.0
// ggml's Q2_K: 16 groups of 16 values d * scale * q - dmin * minimum; d and dmin f16, scale and
// minimum of a group 4 bits, q 2 bits.
#include "tensor/quant/k_minimum.h"
#include "tensor/quant/k_pairs.h"

namespace retort {
namespace {

struct BlockQ2_K {
  uint8_t scales[16];  // a group's scale in the low, its minimum in the high four bits
  uint8_t q[64];       // tensor/quant/k_pairs.h
  F16 d, dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

struct Q2_KKernel {
  using Block = BlockQ2_K;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const float d = ScaleOf(b.d), dmin = ScaleOf(b.dmin);
    for (int i = 0; i < 64; i += W) {
      const int packed = b.scales[4 * quarter + i / 16];
      const float scale = d * static_cast<float>(packed & 15);
      const float minimum = dmin * static_cast<float>(packed >> 4);
      Store<W>(out + i, AsFloats<W>(PairsOf<W>(b.q, quarter, i)) * scale - minimum);
    }
  }

  template <int W>
  RETORT_INLINE static void Codes(const Block& b, SuperCodes* out) {
    const float d = ScaleOf(b.d), dmin = ScaleOf(b.dmin);
    for (int i = 0; i < 16; i += W) {
      const auto packed = Widened<W>(LoadAs<Chars<W>>(b.scales + i));
      Store<W>(out->scale + i, AsFloats<W>(packed & 15) * d);
      Store<W>(out->minimum + i, AsFloats<W>(packed >> 4) * dmin);
    }
    for (int g = 0; g < 8; ++g)
      StoreCodes(Load32(b.q + g / 4 * 32) >> (2 * (g % 4)) & 3, out->code + 32 * g);
  }

  static BlockGrid Grid(const Block& b) {
    BlockGrid grid{IntegerLevels(0, 4), true, 16, {}, {}};
    for (int g = 0; g < 16; ++g) {
      grid.scale[g] = ScaleOf(b.d) * static_cast<float>(b.scales[g] & 15);
      grid.low[g] = -ScaleOf(b.dmin) * static_cast<float>(b.scales[g] >> 4);
    }
    return grid;
  }
  static void Put(const uint8_t* codes, Block& block) { PackPairs(codes, block.q); }

  static constexpr KMinimumRule kRule = {
      .top = 3, .scale_top = 15, .search = {-0.5f, 0.1f, 15, true}, .level = false, .spread = 1};

  template <int W>
  RETORT_INLINE static Block Encoded(const float* x, const float* importance) {
    const KMinimumCodes<16> codes = EncodedWithMinima<16, W>(x, importance, kRule);
    Block block{.d = codes.d, .dmin = codes.dmin};
    for (int g = 0; g < 16; ++g)
      block.scales[g] = static_cast<uint8_t>(codes.scale[g] | codes.minimum[g] << 4);
    Put(codes.code, block);
    return block;
  }
};

}  // namespace

extern const BlockFormat kQ2_KFormat = {.name = "q2_k",
                                        .block_elements = kSuperValues,
                                        .block_bytes = sizeof(BlockQ2_K),
                                        .alignment = alignof(BlockQ2_K),
                                        .ggml_type = 10,
                                        .file_type = 10,
                                        .narrow = "q4_0",
                                        .kl_limit = 10,
                                        .decode = DecodeSuperBlocks<Q2_KKernel>,
                                        .columns = DecodeSuperColumns<Q2_KKernel>,
                                        .codes = SuperBlockCodes<Q2_KKernel>,
                                        .code_bits = 2,
                                        .code_group = 16,
                                        .encode = EncodeSuperBlocks<Q2_KKernel>,
                                        .grid = &kGridOf<Q2_KKernel>};

}  // namespace retort
