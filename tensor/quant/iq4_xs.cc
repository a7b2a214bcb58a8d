// SPDX-License-Identifier: Apache-2.0
// ggml's IQ4_XS: 8 groups of 32 values d * (scale - 32) * level[q]; d an f16, scale 6 bits, q 4
// bits, the levels of tensor/quant/iq4.h.
#include <cmath>

#include "tensor/quant/iq4.h"
#include "tensor/quant/super_blocks.h"

namespace retort {
namespace {

struct BlockIq4Xs {
  F16 d;
  uint16_t scales_high;   // bits 4 and 5 of group g's scale are its bits 2 g and 2 g + 1
  uint8_t scales_low[4];  // the low four bits, two groups a byte, the first in the low half
  uint8_t q[128];         // 16 bytes a group
};
static_assert(sizeof(BlockIq4Xs) == 136);

struct Iq4XsKernel {
  using Block = BlockIq4Xs;

  static int Scale(const Block& b, int group) {
    const int low = b.scales_low[group / 2] >> (4 * (group % 2)) & 15;
    return (low | (b.scales_high >> (2 * group) & 3) << 4) - 32;
  }

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const float d = ScaleOf(b.d);
    for (int half = 0; half < 2; ++half) {
      const int group = 2 * quarter + half;
      DecodeIq4<W>(b.q + 16 * group, d * static_cast<float>(Scale(b, group)), out + 32 * half);
    }
  }

  template <int W>
  RETORT_INLINE static void Codes(const Block& b, SuperCodes* out) {
    const float d = ScaleOf(b.d);
    for (int g = 0; g < 8; ++g) {
      StoreIq4Codes(b.q + 16 * g, out->code + 32 * g);
      const float scale = d * static_cast<float>(Scale(b, g));
      out->scale[2 * g] = out->scale[2 * g + 1] = scale;
      out->minimum[2 * g] = out->minimum[2 * g + 1] = 128 * scale;
    }
  }

  static BlockGrid Grid(const Block& b) {
    BlockGrid grid{kIq4Levels, false, 32, {}, {}};
    for (int g = 0; g < 8; ++g) grid.scale[g] = ScaleOf(b.d) * static_cast<float>(Scale(b, g));
    return grid;
  }
  static void Put(const uint8_t* codes, Block& block) {
    for (int g = 0; g < 8; ++g) PackIq4(codes + 32 * g, block.q + 16 * g);
  }

  template <int W>
  RETORT_INLINE static Block Encoded(const float* x, const float* importance) {
    const float spread = SumOfSquares(x, kSuperValues) * (2.0f / kSuperValues);
    float scale[8];
    Floats<W> values[8 / W][32];
    for (int part = 0; part < 8 / W; ++part) {
      Floats<W> given[32], weight[32];
      GroupsToLanes<W, 32>(x + part * W * 32, values[part]);
      if (importance) GroupsToLanes<W, 32>(importance + part * W * 32, given);
      Iq4Weights<W>(values[part], importance ? given : nullptr, Splat<W>(spread), weight);
      Store<W>(scale + part * W, FitIq4<W>(values[part], weight));
    }
    float extreme = 0;
    for (const float s : scale) extreme = std::abs(s) > std::abs(extreme) ? s : extreme;
    const float d = -extreme / 32, inverse = InverseOf(d);
    Block block{.d = ToF16(d)};
    float group_inverse[8];
    for (int g = 0; g < 8; ++g) {
      const int rounded = std::clamp(Nearest(inverse * scale[g]), -32, 31), code = rounded + 32;
      group_inverse[g] = InverseOf(d * static_cast<float>(rounded));
      block.scales_low[g / 2] |= static_cast<uint8_t>((code & 15) << (4 * (g % 2)));
      block.scales_high = static_cast<uint16_t>(block.scales_high | code >> 4 << (2 * g));
    }
    uint8_t codes[kSuperValues];
    for (int part = 0; part < 8 / W; ++part) {
      const Floats<W> by = Load<W>(group_inverse + part * W);
      Ints<W> lanes[32];
      for (int i = 0; i < 32; ++i) lanes[i] = Iq4Code<W>(by * values[part][i]);
      LanesToGroups<W, 32>(lanes, codes + part * W * 32);
    }
    Put(codes, block);
    return block;
  }
};

}  // namespace

extern const BlockFormat kIq4XsFormat = {.name = "iq4_xs",
                                         .block_elements = kSuperValues,
                                         .block_bytes = sizeof(BlockIq4Xs),
                                         .alignment = alignof(BlockIq4Xs),
                                         .ggml_type = 23,
                                         .file_type = 30,
                                         .narrow = "iq4_nl",
                                         .kl_limit = 1.0,
                                         .decode = DecodeSuperBlocks<Iq4XsKernel>,
                                         .columns = DecodeSuperColumns<Iq4XsKernel>,
                                         .codes = SuperBlockCodes<Iq4XsKernel>,
                                         .code_bits = 8,
                                         .code_group = 32,
                                         .encode = EncodeSuperBlocks<Iq4XsKernel>,
                                         .grid = &kGridOf<Iq4XsKernel>};

}  // namespace retort
