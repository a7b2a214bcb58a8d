// SPDX-License-Identifier: Apache-2.0
// ggml's Q5_0: 32 values d * (q - 16), d an f16, q of 5 bits.
#include "tensor/quant/format_kernels.h"

namespace retort {
namespace {

// The low four bits of q[i] are the low bits of value i, the high four those of value i + 16. Bit i
// of `high` (little-endian) is the fifth bit of value i.
struct BlockQ5_0 {
  F16 d;
  uint8_t high[4];
  uint8_t q[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

struct Q5_0Kernel {
  using Block = BlockQ5_0;
  static constexpr int64_t kValues = 32;

  // Bit i of `bits` as 16 or 0 in byte i: each byte is masked to one bit, and an addition carries
  // it to bit 7.
  RETORT_INLINE static uint64_t FifthBits(uint8_t bits) {
    const uint64_t own = (bits * 0x0101010101010101u) & 0x8040201008040201u;
    return ((own + 0x7f7f7f7f7f7f7f7fu) & 0x8080808080808080u) >> 3;
  }

  template <int W>
  RETORT_INLINE static void Run(const Block* in, int64_t blocks, float* out) {
    using Pair [[gnu::vector_size(16)]] = uint64_t;
    for (int64_t b = 0; b < blocks; ++b, out += kValues) {
      const float d = ScaleOf(in[b].d);
      const uint8_t* high = in[b].high;
      const auto q = LoadAs<Chars<16>>(in[b].q);
      const Chars<16> halves[2] = {
          (q & 15) | (Chars<16>)Pair{FifthBits(high[0]), FifthBits(high[1])},
          (q >> 4) | (Chars<16>)Pair{FifthBits(high[2]), FifthBits(high[3])}};
      uint8_t codes[32];
      std::memcpy(codes, halves, sizeof codes);
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
    for (int i = 0; i < 16; ++i)
      block.q[i] = static_cast<uint8_t>((codes[i] & 15) | codes[i + 16] << 4);
    for (int i = 0; i < 4; ++i) {
      // Collects the fifth bits of eight codes: that of byte k moves from bit 8 k + 4 to bit 56 +
      // k.
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
                                        .kl_limit = 0.5,
                                        .decode = DecodeBlocks<Q5_0Kernel>,
                                        .columns = DecodeBlockColumns<Q5_0Kernel>,
                                        .encode = EncodeBlocks<Q5_0Kernel>};

}  // namespace retort
