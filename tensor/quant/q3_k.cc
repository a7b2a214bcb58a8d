// SPDX-License-Identifier: Apache-2.0
// ggml's Q3_K: 16 groups of 16 values d * (scale - 32) * (q - 4); d an f16, scale 6 bits, q 3 bits.
#include <cmath>

#include "tensor/quant/k_pairs.h"
#include "tensor/quant/k_symmetric.h"

namespace retort {
namespace {

struct BlockQ3_K {
  uint8_t high[32];  // the third bit of value 32 g + k is bit g of high[k]
  uint8_t q[64];     // the low two bits: tensor/quant/k_pairs.h
  // The low four bits of the scales of groups g and g + 8 are in byte g, the high two bits of those
  // of groups k, k + 4, k + 8 and k + 12 in byte 8 + k.
  uint8_t scales[12];
  F16 d;
};
static_assert(sizeof(BlockQ3_K) == 110);

// Improves codes of least squares one by one, in up to five rounds (fit.h says what lanes are).
template <int W>
RETORT_INLINE Floats<W> FitOneByOne(const Floats<W>* x, int middle, Ints<W>* codes) {
  constexpr int N = kSymmetricValues;
  const Floats<W> extreme = Extreme<W, N>(x);
  const Ints<W> zeros = Magnitude<W>(extreme) < kZeroGroup;
  const Floats<W> inverse = -static_cast<float>(middle) / extreme;
  Floats<W> sum_qx = {}, sum_qq = {};
  for (int i = 0; i < N; ++i) {
    codes[i] = Clamped<W>(Nearest<W>(inverse * x[i]), -middle, middle - 1);
    const Floats<W> w = x[i] * x[i], q = AsFloats<W>(codes[i]);
    sum_qx += w * x[i] * q;
    sum_qq += w * q * q;
  }
  for (int round = 0; round < 5; ++round) {
    Ints<W> changed = {};
    for (int i = 0; i < N; ++i) {
      const Floats<W> w = x[i] * x[i], q = AsFloats<W>(codes[i]);
      Floats<W> qx = sum_qx - w * x[i] * q, qq = sum_qq - w * q * q;  // without value i
      const Ints<W> usable = qx > 0.0f;
      const Ints<W> other = Clamped<W>(Nearest<W>(x[i] * qq / qx), -middle, middle - 1);
      const Floats<W> o = AsFloats<W>(other);
      qx += w * x[i] * o;
      qq += w * o * o;
      const Ints<W> better =
          usable & (other != codes[i]) & (qq > 0.0f) & (qx * qx * sum_qq > sum_qx * sum_qx * qq);
      codes[i] = better ? other : codes[i];
      sum_qx = better ? qx : sum_qx;
      sum_qq = better ? qq : sum_qq;
      changed |= better;
    }
    if (!AnyLane<W>(changed & ~zeros)) break;
  }
  for (int i = 0; i < N; ++i) codes[i] = zeros ? Ints<W>{} : codes[i] + middle;
  const Floats<W> scale = sum_qq > 0.0f ? sum_qx / sum_qq : Floats<W>{};
  return zeros ? Floats<W>{} : scale;
}

RETORT_INLINE int Q3ScaleOf(const uint8_t* packed, int group) {
  const int low = packed[group % 8] >> (group < 8 ? 0 : 4) & 15;
  return (low | (packed[8 + group % 4] >> (2 * (group / 4)) & 3) << 4) - 32;
}

struct Q3_KKernel {
  using Block = BlockQ3_K;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const float d = ScaleOf(b.d);
    for (int i = 0; i < 64; i += W) {
      const auto high = Widened<W>(LoadAs<Chars<W>>(b.high + i % 32)) >> (2 * quarter + i / 32);
      const Ints<W> q = (PairsOf<W>(b.q, quarter, i) | (high & 1) << 2) - 4;
      const float scale = d * static_cast<float>(Q3ScaleOf(b.scales, 4 * quarter + i / 16));
      Store<W>(out + i, AsFloats<W>(q) * scale);
    }
  }

  template <int W>
  RETORT_INLINE static void Codes(const Block& b, SuperCodes* out) {
    const float d = ScaleOf(b.d);
    for (int g = 0; g < 16; ++g) {
      out->scale[g] = d * static_cast<float>(Q3ScaleOf(b.scales, g));
      out->minimum[g] = 4 * out->scale[g];
    }
    const Chars<32> high = Load32(b.high);
    for (int g = 0; g < 8; ++g) {
      const Chars<32> low = Load32(b.q + g / 4 * 32) >> (2 * (g % 4)) & 3;
      StoreCodes(low | (high >> g & 1) << 2, out->code + 32 * g);
    }
  }

  static BlockGrid Grid(const Block& b) {
    BlockGrid grid{IntegerLevels(-4, 8), true, kSymmetricValues, {}, {}};
    for (int g = 0; g < 16; ++g)
      grid.scale[g] = ScaleOf(b.d) * static_cast<float>(Q3ScaleOf(b.scales, g));
    return grid;
  }
  static void Put(const uint8_t* codes, Block& block) {
    for (int k = 0; k < 32; ++k) {
      int bits = 0;
      for (int g = 0; g < 8; ++g) bits |= codes[32 * g + k] >> 2 << g;
      block.high[k] = static_cast<uint8_t>(bits);
    }
    PackPairs(codes, block.q);
  }

  static Block Packed(F16 d, const int* scales, const uint8_t* codes) {
    Block block{.d = d};
    for (int g = 0; g < 16; ++g) {
      block.scales[g % 8] |= static_cast<uint8_t>((scales[g] & 15) << (g < 8 ? 0 : 4));
      block.scales[8 + g % 4] |= static_cast<uint8_t>(scales[g] >> 4 << (2 * (g / 4)));
    }
    Put(codes, block);
    return block;
  }

  // The groups' scales as integers 0 to 63, their middle 32, and their unit.
  static F16 RoundScales(const float* scale, int* codes) {
    const float extreme = ExtremeScale(scale);
    const float inverse = extreme != 0 ? -32 / extreme : 0.0f;
    for (int g = 0; g < 16; ++g)
      codes[g] = extreme != 0 ? std::clamp(Nearest(inverse * scale[g]), -32, 31) + 32 : 0;
    return ToF16(extreme != 0 ? 1 / inverse : 0.0f);
  }
  static F16 RoundScalesBy(const float* scale, const float* weight, int* codes) {
    Floats<1> x[16], w[16];
    Ints<1> fitted[16];
    GroupsToLanes<1, 16>(scale, x);
    GroupsToLanes<1, 16>(weight, w);
    const Floats<1> d = FitAroundZero<1, 16>(x, w, 32, fitted);
    for (int g = 0; g < 16; ++g) codes[g] = fitted[g][0];
    return ToF16(d[0]);
  }

  // A value's weight is its square, or its importance times sqrt(x^2 + twice the block's mean
  // square).
  template <int W>
  RETORT_INLINE static Block Encoded(const float* x, const float* importance) {
    float scale[16], total[16];
    Ints<W> codes[16 / W][16];
    const float spread = importance ? 2 * SumOfSquares(x, kSuperValues) / kSuperValues : 0;
    const auto fit = [&](const Floats<W>* values, int first, Ints<W>* group_codes)
                         RETORT_INLINE_LAMBDA {
                           if (!importance) return FitOneByOne<W>(values, 4, group_codes);
                           Floats<W> weight[16], sum = {};
                           GroupsToLanes<W, 16>(importance + first, weight);
                           for (int i = 0; i < 16; ++i)
                             weight[i] *= Sqrt<W>(spread + values[i] * values[i]);
                           for (int i = 0; i < 16; ++i) sum += weight[i];
                           Store<W>(total + first / 16, sum);
                           return FitAroundZero<W, 16>(values, weight, 4, group_codes);
                         };
    FitGroups<W>(x, fit, scale, codes);
    int scales[16];
    const F16 d = importance ? RoundScalesBy(scale, total, scales) : RoundScales(scale, scales);
    for (int g = 0; g < 16; ++g) scale[g] = ScaleOf(d) * static_cast<float>(scales[g] - 32);
    uint8_t bytes[kSuperValues];
    RoundGroups<W>(x, scale, 4, codes, bytes);
    return Packed(d, scales, bytes);
  }
};

}  // namespace

extern const BlockFormat kQ3_KFormat = {.name = "q3_k",
                                        .block_elements = kSuperValues,
                                        .block_bytes = sizeof(BlockQ3_K),
                                        .alignment = alignof(BlockQ3_K),
                                        .ggml_type = 11,
                                        .file_type = 12,
                                        .narrow = "q4_0",
                                        .kl_limit = 5,
                                        .decode = DecodeSuperBlocks<Q3_KKernel>,
                                        .columns = DecodeSuperColumns<Q3_KKernel>,
                                        .codes = SuperBlockCodes<Q3_KKernel>,
                                        .code_bits = 3,
                                        .code_group = 16,
                                        .encode = EncodeSuperBlocks<Q3_KKernel>,
                                        .grid = &kGridOf<Q3_KKernel>};

}  // namespace retort
