// SPDX-License-Identifier: Apache-2.0
// ggml's Q5_1: 32 values d * q + m, d and m f16, q of 5 bits.
#include "tensor/quant/block_codes.h"
#include "tensor/quant/lane_blocks.h"

namespace retort {
namespace {

struct BlockQ5_1 {
  F16 d, m;
  uint8_t high[4];
  uint8_t q[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

struct Q5_1Kernel {
  using Block = BlockQ5_1;
  static constexpr int64_t kValues = 32;

  template <int W>
  RETORT_INLINE static void Run(const Block* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b, out += kValues) {
      const float d = ScaleOf(in[b].d), m = ScaleOf(in[b].m);
      uint8_t codes[32];
      JoinFifthBits(in[b].q, in[b].high, codes);
      for (int i = 0; i < 32; i += W) {
        const auto code = Widened<W>(LoadAs<Chars<W>>(codes + i));
        Store<W>(out + i, __builtin_convertvector(code, Floats<W>) * d + m);
      }
    }
  }

  // The lowest value is encoded as 0, the highest as 31.
  template <int W>
  RETORT_INLINE static Block Encoded(const float* x) {
    const auto [low, high] = RangeOf32<W>(x);
    const float m = low, d = (high - low) / 31, inverse = InverseOf(d);
    uint8_t codes[32];
    for (int i = 0; i < 32; i += W)
      StoreBytes<W>(codes + i, Truncated<W>((Load<W>(x + i) - m) * inverse + 0.5f));
    Block block;
    block.d = ToF16(d);
    block.m = ToF16(m);
    SplitFifthBits(codes, block.q, block.high);
    return block;
  }

  RETORT_INLINE static CodeScale Codes(const Block& b, uint8_t* codes) {
    JoinFifthBits(b.q, b.high, codes);
    return {ScaleOf(b.d), -ScaleOf(b.m)};
  }

  static BlockGrid Grid(const Block& b) {
    return UniformGrid(0, 32, kValues, ScaleOf(b.d), ScaleOf(b.m));
  }
  static void Put(const uint8_t* codes, Block& block) {
    SplitFifthBits(codes, block.q, block.high);
  }

  template <int W>
  RETORT_INLINE static void EncodeLanes(const Floats<W>* x, const Floats<W>* importance,
                                        float row_square, Block* out) {
    EncodeFromMinimum<W>(x, importance, row_square, 31, out,
                         [](Block& block, float d, float m, const uint8_t* codes) {
                           block.d = ToF16(d);
                           block.m = ToF16(m);
                           Put(codes, block);
                         });
  }
};

}  // namespace

extern const BlockFormat kQ5_1Format = {.name = "q5_1",
                                        .block_elements = 32,
                                        .block_bytes = sizeof(BlockQ5_1),
                                        .alignment = alignof(BlockQ5_1),
                                        .ggml_type = 7,
                                        .file_type = 9,
                                        .kl_limit = 0.5,
                                        .decode = DecodeBlocks<Q5_1Kernel>,
                                        .columns = DecodeBlockColumns<Q5_1Kernel>,
                                        .codes = BlockCodes<Q5_1Kernel>,
                                        .code_bits = 5,
                                        .code_group = 32,
                                        .encode = EncodeBlocksByImportance<Q5_1Kernel>,
                                        .grid = &kGridOf<Q5_1Kernel>};

}  // namespace retort
