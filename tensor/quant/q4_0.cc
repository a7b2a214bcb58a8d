// SPDX-License-Identifier: Apache-2.0
// ggml's Q4_0: 32 values d * (q - 8), d an f16, q of 4 bits.
#include "tensor/quant/block_codes.h"
#include "tensor/quant/lane_blocks.h"

namespace retort {
namespace {

struct Q4_0Kernel {
  using Block = BlockQ4_0;
  static constexpr int64_t kValues = 32;

  template <int W>
  RETORT_INLINE static void Run(const Block* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b, out += kValues) {
      const float d = ScaleOf(in[b].d);
      for (int i = 0; i < 16; i += W) {
        const auto q = Widened<W>(LoadAs<Chars<W>>(in[b].q + i));
        Store<W>(out + i, __builtin_convertvector((q & 15) - 8, Floats<W>) * d);
        Store<W>(out + 16 + i, __builtin_convertvector((q >> 4) - 8, Floats<W>) * d);
      }
    }
  }

  // The scale maps the value of largest magnitude (the first among equals) to -8.
  template <int W>
  RETORT_INLINE static Block Encoded(const float* x) {
    const float d = ExtremeOf32<W>(x) / -8, inverse = InverseOf(d);
    const auto codes = [&](const float* from) RETORT_INLINE_LAMBDA {
      const Ints<W> q = Truncated<W>(Load<W>(from) * inverse + 8.5f);
      return q < 15 ? q : SplatInt<W>(15);
    };
    Block block;
    block.d = ToF16(d);
    for (int i = 0; i < 16; i += W)
      StoreBytes<W>(block.q + i, codes(x + i) | codes(x + 16 + i) << 4);
    return block;
  }

  RETORT_INLINE static CodeScale Codes(const Block& b, uint8_t* codes) {
    StoreNibbles(b.q, codes);
    return {ScaleOf(b.d), 8 * ScaleOf(b.d)};
  }

  static BlockGrid Grid(const Block& b) { return UniformGrid(-8, 16, kValues, ScaleOf(b.d)); }
  static void Put(const uint8_t* codes, Block& block) {
    for (int i = 0; i < 16; ++i) block.q[i] = static_cast<uint8_t>(codes[i] | codes[i + 16] << 4);
  }

  template <int W>
  RETORT_INLINE static void EncodeLanes(const Floats<W>* x, const Floats<W>* importance,
                                        float row_square, Block* out) {
    EncodeAroundZero<W>(x, importance, row_square, 8, out,
                        [](Block& block, float d, const uint8_t* codes) {
                          block.d = ToF16(d);
                          Put(codes, block);
                        });
  }
};

}  // namespace

extern const BlockFormat kQ4_0Format = {.name = "q4_0",
                                        .block_elements = 32,
                                        .block_bytes = sizeof(BlockQ4_0),
                                        .alignment = alignof(BlockQ4_0),
                                        .ggml_type = 2,
                                        .file_type = 2,
                                        .kl_limit = 1.0,
                                        .int8 = true,
                                        .decode = DecodeBlocks<Q4_0Kernel>,
                                        .columns = DecodeBlockColumns<Q4_0Kernel>,
                                        .codes = BlockCodes<Q4_0Kernel>,
                                        .code_bits = 4,
                                        .code_group = 32,
                                        .encode = EncodeBlocksByImportance<Q4_0Kernel>,
                                        .grid = &kGridOf<Q4_0Kernel>};

}  // namespace retort
