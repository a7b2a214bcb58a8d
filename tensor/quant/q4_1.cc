// SPDX-License-Identifier: Apache-2.0
// ggml's Q4_1: 32 values d * q + m, d and m f16, q of 4 bits.
#include "tensor/quant/block_codes.h"
#include "tensor/quant/lane_blocks.h"

namespace retort {
namespace {

// The low four bits of q[i] are value i, the high four value i + 16.
struct BlockQ4_1 {
  F16 d, m;
  uint8_t q[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

struct Q4_1Kernel {
  using Block = BlockQ4_1;
  static constexpr int64_t kValues = 32;

  template <int W>
  RETORT_INLINE static void Run(const Block* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b, out += kValues) {
      const float d = ScaleOf(in[b].d), m = ScaleOf(in[b].m);
      for (int i = 0; i < 16; i += W) {
        const auto q = Widened<W>(LoadAs<Chars<W>>(in[b].q + i));
        Store<W>(out + i, __builtin_convertvector(q & 15, Floats<W>) * d + m);
        Store<W>(out + 16 + i, __builtin_convertvector(q >> 4, Floats<W>) * d + m);
      }
    }
  }

  // The lowest value is encoded as 0, the highest as 15.
  template <int W>
  RETORT_INLINE static Block Encoded(const float* x) {
    const auto [low, high] = RangeOf32<W>(x);
    const float m = low, d = (high - low) / 15, inverse = InverseOf(d);
    const auto codes = [&](const float* from) RETORT_INLINE_LAMBDA {
      const Ints<W> q = Truncated<W>((Load<W>(from) - m) * inverse + 0.5f);
      return q < 15 ? q : SplatInt<W>(15);
    };
    Block block;
    block.d = ToF16(d);
    block.m = ToF16(m);
    for (int i = 0; i < 16; i += W)
      StoreBytes<W>(block.q + i, codes(x + i) | codes(x + 16 + i) << 4);
    return block;
  }

  RETORT_INLINE static CodeScale Codes(const Block& b, uint8_t* codes) {
    StoreNibbles(b.q, codes);
    return {ScaleOf(b.d), -ScaleOf(b.m)};
  }

  static BlockGrid Grid(const Block& b) {
    return UniformGrid(0, 16, kValues, ScaleOf(b.d), ScaleOf(b.m));
  }
  static void Put(const uint8_t* codes, Block& block) {
    for (int i = 0; i < 16; ++i) block.q[i] = static_cast<uint8_t>(codes[i] | codes[i + 16] << 4);
  }

  template <int W>
  RETORT_INLINE static void EncodeLanes(const Floats<W>* x, const Floats<W>* importance,
                                        float row_square, Block* out) {
    EncodeFromMinimum<W>(x, importance, row_square, 15, out,
                         [](Block& block, float d, float m, const uint8_t* codes) {
                           block.d = ToF16(d);
                           block.m = ToF16(m);
                           Put(codes, block);
                         });
  }
};

}  // namespace

extern const BlockFormat kQ4_1Format = {.name = "q4_1",
                                        .block_elements = 32,
                                        .block_bytes = sizeof(BlockQ4_1),
                                        .alignment = alignof(BlockQ4_1),
                                        .ggml_type = 3,
                                        .file_type = 3,
                                        .kl_limit = 1.0,
                                        .decode = DecodeBlocks<Q4_1Kernel>,
                                        .columns = DecodeBlockColumns<Q4_1Kernel>,
                                        .codes = BlockCodes<Q4_1Kernel>,
                                        .code_bits = 4,
                                        .code_group = 32,
                                        .encode = EncodeBlocksByImportance<Q4_1Kernel>,
                                        .grid = &kGridOf<Q4_1Kernel>};

}  // namespace retort
