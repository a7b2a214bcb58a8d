// SPDX-License-Identifier: Apache-2.0
// ggml's TQ1_0: ternary values (tensor/quant/ternary.h), five to a byte. A byte q is the binary
// fraction 0.q of five ternary digits, rounded up: digit n is the whole part of 3 frac(3^n 0.q).
#include "tensor/quant/ternary.h"

namespace retort {
namespace {

// Digit n is value 32 n + k for byte k of q below 32, value 160 + 16 n + k - 32 for the next 16,
// and value 240 + 4 n + k for byte k of last, which has four.
struct BlockTq1 {
  uint8_t q[48];
  uint8_t last[4];
  F16 d;
};
static_assert(sizeof(BlockTq1) == 54);

constexpr int kPowers[] = {1, 3, 9, 27, 81};

struct Tq1Kernel {
  using Block = BlockTq1;

  template <int W>
  RETORT_INLINE static void Digits(const uint8_t* bytes, int digit, float d, float* out) {
    const Ints<W> fraction = Widened<W>(LoadAs<Chars<W>>(bytes)) * kPowers[digit] & 255;
    Store<W>(out, AsFloats<W>((fraction * 3 >> 8) - 1) * d);
  }
  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    const float d = ScaleOf(b.d);
    for (int i = 0; i < 64; i += W) {
      const int value = 64 * quarter + i, rest = value - 160;
      if (value < 160) {
        Digits<W>(b.q + value % 32, value / 32, d, out + i);
      } else if (value < 240) {
        Digits<W>(b.q + 32 + rest % 16, rest / 16, d, out + i);
      }
    }
    for (int n = 0; quarter == 3 && n < 4; ++n) Digits<4>(b.last, n, d, out + 48 + 4 * n);
  }

  // The byte of `digits` values that are `step` apart.
  static uint8_t ByteOf(const uint8_t* codes, int digits, int step) {
    int number = 0;
    for (int n = 0; n < 5; ++n) number = 3 * number + (n < digits ? codes[n * step] : 0);
    return static_cast<uint8_t>((number * 256 + 242) / 243);
  }
  template <int W>
  RETORT_INLINE static Block Encoded(const float* x, const float* /*importance*/) {
    uint8_t codes[kSuperValues];
    Block block;
    block.d = TernaryCodes<W>(x, codes);
    for (int k = 0; k < 32; ++k) block.q[k] = ByteOf(codes + k, 5, 32);
    for (int k = 0; k < 16; ++k) block.q[32 + k] = ByteOf(codes + 160 + k, 5, 16);
    for (int k = 0; k < 4; ++k) block.last[k] = ByteOf(codes + 240 + k, 4, 4);
    return block;
  }
};

}  // namespace

extern const BlockFormat kTq1Format = {.name = "tq1_0",
                                       .block_elements = kSuperValues,
                                       .block_bytes = sizeof(BlockTq1),
                                       .alignment = alignof(BlockTq1),
                                       .ggml_type = 34,
                                       .file_type = 36,
                                       .narrow = "q4_0",
                                       .kl_limit = 20,
                                       .decode = DecodeSuperBlocks<Tq1Kernel>,
                                       .columns = DecodeSuperColumns<Tq1Kernel>,
                                       .encode = EncodeSuperBlocks<Tq1Kernel>};

}  // namespace retort
