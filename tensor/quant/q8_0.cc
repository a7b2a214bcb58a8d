// SPDX-License-Identifier: Apache-2.0
// ggml's Q8_0: 32 values d * q, d an f16, q an int8.
#include "tensor/quant/block_codes.h"
#include "tensor/quant/format_kernels.h"

namespace retort {
namespace {

struct Q8_0Kernel {
  using Block = BlockQ8_0;
  static constexpr int64_t kValues = 32;

  template <int W>
  RETORT_INLINE static void Run(const Block* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b, out += kValues) {
      const float d = ScaleOf(in[b].d);
      for (int i = 0; i < 32; i += W) {
        const auto q = WidenedSigned<W>(LoadAs<SignedChars<W>>(in[b].q + i));
        Store<W>(out + i, __builtin_convertvector(q, Floats<W>) * d);
      }
    }
  }

  // d = the largest magnitude / 127; quotients are rounded to nearest, halves away from zero.
  template <int W>
  RETORT_INLINE static Block Encoded(const float* x) {
    Floats<W> top = {};
    for (int i = 0; i < 32; i += W) {
      const Floats<W> v = Load<W>(x + i), magnitude = v < 0.0f ? -v : v;
      top = magnitude > top ? magnitude : top;
    }
    const float d = MaxLane<W>(top) / 127, inverse = InverseOf(d);
    Block block;
    block.d = ToF16(d);
    for (int i = 0; i < 32; i += W)
      StoreBytes<W>(block.q + i, RoundedAway<W>(Load<W>(x + i) * inverse));
    return block;
  }

  static constexpr int kLowest = -127;
  RETORT_INLINE static CodeScale Codes(const Block& b, uint8_t* codes) {
    StoreCodes(Load32(reinterpret_cast<const uint8_t*>(b.q)) ^ 128, codes);
    return {ScaleOf(b.d), 128 * ScaleOf(b.d)};
  }

  static BlockGrid Grid(const Block& b) { return UniformGrid(kLowest, 255, kValues, ScaleOf(b.d)); }
  static void Put(const uint8_t* codes, Block& block) {
    for (int i = 0; i < kValues; ++i) block.q[i] = static_cast<int8_t>(codes[i] + kLowest);
  }
};

}  // namespace

extern const BlockFormat kQ8_0Format = {.name = "q8_0",
                                        .block_elements = 32,
                                        .block_bytes = sizeof(BlockQ8_0),
                                        .alignment = alignof(BlockQ8_0),
                                        .ggml_type = 8,
                                        .file_type = 7,
                                        .kl_limit = 1e-2,
                                        .int8 = true,
                                        .decode = DecodeBlocks<Q8_0Kernel>,
                                        .columns = DecodeBlockColumns<Q8_0Kernel>,
                                        .codes = BlockCodes<Q8_0Kernel>,
                                        .code_bits = 8,
                                        .code_group = 32,
                                        .encode = EncodeBlocks<Q8_0Kernel>,
                                        .grid = &kGridOf<Q8_0Kernel>};

}  // namespace retort
