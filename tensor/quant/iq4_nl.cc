// SPDX-License-Identifier: Apache-2.0
// ggml's IQ4_NL: 32 values d * level[q], d an f16, q of 4 bits, the levels of tensor/quant/iq4.h.
#include "tensor/quant/block_codes.h"
#include "tensor/quant/iq4.h"
#include "tensor/quant/lane_blocks.h"

namespace retort {
namespace {

struct BlockIq4Nl {
  F16 d;
  uint8_t q[16];
};
static_assert(sizeof(BlockIq4Nl) == 18);

struct Iq4NlKernel {
  using Block = BlockIq4Nl;
  static constexpr int64_t kValues = 32;

  template <int W>
  RETORT_INLINE static void Run(const Block* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b, out += kValues)
      DecodeIq4<W>(in[b].q, ScaleOf(in[b].d), out);
  }

  RETORT_INLINE static CodeScale Codes(const Block& b, uint8_t* codes) {
    StoreIq4Codes(b.q, codes);
    return {ScaleOf(b.d), 128 * ScaleOf(b.d)};
  }

  static BlockGrid Grid(const Block& b) { return {kIq4Levels, false, kValues, {ScaleOf(b.d)}, {}}; }
  static void Put(const uint8_t* codes, Block& block) { PackIq4(codes, block.q); }

  template <int W>
  RETORT_INLINE static void EncodeLanes(const Floats<W>* x, const Floats<W>* importance, float,
                                        Block* out) {
    Floats<W> weight[32], squares = {};
    for (int i = 0; i < 32; ++i) squares += x[i] * x[i];
    Iq4Weights<W>(x, importance, squares * (2.0f / 32), weight);
    const Floats<W> scale = FitIq4<W>(x, weight);
    const Floats<W> inverse = scale != 0.0f ? 1.0f / scale : Floats<W>{};
    Ints<W> lanes[32];
    for (int i = 0; i < 32; ++i) lanes[i] = Iq4Code<W>(inverse * x[i]);
    uint8_t codes[W * 32];
    LanesToGroups<W, 32>(lanes, codes);
    for (int g = 0; g < W; ++g) {
      out[g].d = ToF16(scale[g]);
      Put(codes + 32 * g, out[g]);
    }
  }
};

}  // namespace

extern const BlockFormat kIq4NlFormat = {.name = "iq4_nl",
                                         .block_elements = 32,
                                         .block_bytes = sizeof(BlockIq4Nl),
                                         .alignment = alignof(BlockIq4Nl),
                                         .ggml_type = 20,
                                         .file_type = 25,
                                         .kl_limit = 1.0,
                                         .decode = DecodeBlocks<Iq4NlKernel>,
                                         .columns = DecodeBlockColumns<Iq4NlKernel>,
                                         .codes = BlockCodes<Iq4NlKernel>,
                                         .code_bits = 8,
                                         .code_group = 32,
                                         .encode = EncodeBlocksInLanes<Iq4NlKernel>,
                                         .grid = &kGridOf<Iq4NlKernel>};

}  // namespace retort
