// SPDX-License-Identifier: Apache-2.0
// ggml's Q5_0: 32 values d * (q - 16), d an f16, q of 5 bits.
#include "tensor/quant/block_codes.h"
#include "tensor/quant/lane_blocks.h"

namespace retort {
namespace {

struct BlockQ5_0 {
  F16 d;
  uint8_t high[4];
  uint8_t q[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

struct Q5_0Kernel {
  using Block = BlockQ5_0;
  static constexpr int64_t kValues = 32;

  template <int W>
  RETORT_INLINE static void Run(const Block* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b, out += kValues) {
      const float d = ScaleOf(in[b].d);
      uint8_t codes[32];
      JoinFifthBits(in[b].q, in[b].high, codes);
      for (int i = 0; i < 32; i += W) {
        const auto code = Widened<W>(LoadAs<Chars<W>>(codes + i));
        Store<W>(out + i, __builtin_convertvector(code - 16, Floats<W>) * d);
      }
    }
  }

  // The scale maps the value of largest magnitude (the first among equals) to -16.
  template <int W>
  RETORT_INLINE static Block Encoded(const float* x) {
    const float d = ExtremeOf32<W>(x) / -16, inverse = InverseOf(d);
    uint8_t codes[32];
    for (int i = 0; i < 32; i += W) {
      const Ints<W> q = Truncated<W>(Load<W>(x + i) * inverse + 16.5f);
      StoreBytes<W>(codes + i, q < 31 ? q : SplatInt<W>(31));
    }
    Block block;
    block.d = ToF16(d);
    SplitFifthBits(codes, block.q, block.high);
    return block;
  }

  RETORT_INLINE static CodeScale Codes(const Block& b, uint8_t* codes) {
    JoinFifthBits(b.q, b.high, codes);
    return {ScaleOf(b.d), 16 * ScaleOf(b.d)};
  }

  static BlockGrid Grid(const Block& b) { return UniformGrid(-16, 32, kValues, ScaleOf(b.d)); }
  static void Put(const uint8_t* codes, Block& block) {
    SplitFifthBits(codes, block.q, block.high);
  }

  template <int W>
  RETORT_INLINE static void EncodeLanes(const Floats<W>* x, const Floats<W>* importance,
                                        float row_square, Block* out) {
    EncodeAroundZero<W>(x, importance, row_square, 16, out,
                        [](Block& block, float d, const uint8_t* codes) {
                          block.d = ToF16(d);
                          Put(codes, block);
                        });
  }
};

}  // namespace

extern const BlockFormat kQ5_0Format = {.name = "q5_0",
                                        .block_elements = 32,
                                        .block_bytes = sizeof(BlockQ5_0),
                                        .alignment = alignof(BlockQ5_0),
                                        .ggml_type = 6,
                                        .file_type = 8,
                                        .kl_limit = 0.5,
                                        .decode = DecodeBlocks<Q5_0Kernel>,
                                        .columns = DecodeBlockColumns<Q5_0Kernel>,
                                        .codes = BlockCodes<Q5_0Kernel>,
                                        .code_bits = 5,
                                        .code_group = 32,
                                        .encode = EncodeBlocksByImportance<Q5_0Kernel>,
                                        .grid = &kGridOf<Q5_0Kernel>};

}  // namespace retort
