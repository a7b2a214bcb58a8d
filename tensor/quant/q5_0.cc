// SPDX-License-Identifier: Apache-2.0
// ggml's Q5_0: 32 values d * (q - 16), d an f16, q of 5 bits.
#include "tensor/quant/format_kernels.h"

namespace retort {
namespace {

// The low four bits of q[i] are those of value i, the high ones those of value i + 16; bit i of `high`, the first byte
// the lowest, is the fifth bit of value i.
struct BlockQ5_0 {
  F16 d;
  uint8_t high[4];
  uint8_t q[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

struct Q5_0Kernel {
  using Block = BlockQ5_0;
  static constexpr int64_t kValues = 32;

  // The lowest W of the bits, each as 16 or 0.
  template <int W>
  RETORT_INLINE static Ints<W> FifthBits(uint32_t bits) {
    Ints<W> place;
    for (int i = 0; i < W; ++i) place[i] = 1 << i;
    return ((SplatInt<W>(static_cast<int32_t>(bits)) & place) != 0) & 16;
  }

  template <int W>
  RETORT_INLINE static void Run(const Block* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b, out += kValues) {
      const float d = ScaleOf(in[b].d);
      const auto high = LoadAs<uint32_t>(in[b].high);
      for (int i = 0; i < 16; i += W) {
        const auto q = Widened<W>(LoadAs<Chars<W>>(in[b].q + i));
        const Ints<W> low_half = (q & 15) | FifthBits<W>(high >> i);
        const Ints<W> high_half = (q >> 4) | FifthBits<W>(high >> (16 + i));
        Store<W>(out + i, __builtin_convertvector(low_half - 16, Floats<W>) * d);
        Store<W>(out + 16 + i, __builtin_convertvector(high_half - 16, Floats<W>) * d);
      }
    }
  }

  // The scale is such that the value of largest magnitude, the first among equals, becomes -16.
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
    for (int i = 0; i < 16; ++i) block.q[i] = static_cast<uint8_t>((codes[i] & 15) | codes[i + 16] << 4);
    for (int i = 0; i < 4; ++i) {
      // The fifth bits of eight codes side by side: byte k's moves from bit 8 k + 4 to bit 56 + k.
      const uint64_t fifths = LoadAs<uint64_t>(codes + 8 * i) >> 4 & 0x0101010101010101u;
      block.high[i] = static_cast<uint8_t>(fifths * 0x0102040810204080u >> 56);
    }
    return block;
  }
};

}  // namespace

extern const BlockFormat kQ5_0Format = {.name = "q5_0",
                                        .block_elements = 32,
                                        .block_bytes = sizeof(BlockQ5_0),
                                        .alignment = alignof(BlockQ5_0),
                                        .ggml_type = 6,
                                        .file_type = 8,
                                        .kl_limit = 1.0,
                                        .decode = DecodeBlocks<Q5_0Kernel>,
                                        .columns = DecodeBlockColumns<Q5_0Kernel>,
                                        .encode = EncodeBlocks<Q5_0Kernel>};

}  // namespace retort
