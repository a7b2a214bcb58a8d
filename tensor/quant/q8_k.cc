// SPDX-License-Identifier: Apache-2.0
// ggml's Q8_K: 256 values d * q, d an f32, q an int8. llama.cpp keeps activations in it; files with
// it are rare, and llama-quantize writes none.
#include "tensor/quant/super_blocks.h"

namespace retort {
namespace {

struct BlockQ8_K {
  float d;
  int8_t q[256];
  int16_t sums[16];  // of q, 16 at a time
};
static_assert(sizeof(BlockQ8_K) == 292);

struct Q8_KKernel {
  using Block = BlockQ8_K;

  template <int W>
  RETORT_INLINE static void Quarter(const Block& b, int quarter, float* out) {
    for (int i = 0; i < 64; i += W) {
      const auto q = WidenedSigned<W>(LoadAs<SignedChars<W>>(b.q + 64 * quarter + i));
      Store<W>(out + i, AsFloats<W>(q) * b.d);
    }
  }

  // The scale maps the value of largest magnitude (the first among equals) to -127.
  template <int W>
  RETORT_INLINE static Block Encoded(const float* x, const float* /*importance*/) {
    float extreme = 0;
    for (int i = 0; i < 256; i += 32) {
      const float v = ExtremeOf32<W>(x + i);
      if ((v < 0 ? -v : v) > (extreme < 0 ? -extreme : extreme)) extreme = v;
    }
    Block block{};
    if (extreme == 0) return block;
    const float inverse = -127 / extreme;
    block.d = 1 / inverse;
    for (int i = 0; i < 256; i += W) {
      const Ints<W> q = Nearest<W>(Load<W>(x + i) * inverse);
      StoreBytes<W>(block.q + i, q < 127 ? q : SplatInt<W>(127));
    }
    for (int i = 0; i < 256; ++i)
      block.sums[i / 16] = static_cast<int16_t>(block.sums[i / 16] + block.q[i]);
    return block;
  }
};

}  // namespace

extern const BlockFormat kQ8_KFormat = {.name = "q8_k",
                                        .block_elements = kSuperValues,
                                        .block_bytes = sizeof(BlockQ8_K),
                                        .alignment = alignof(BlockQ8_K),
                                        .ggml_type = 15,
                                        .kl_limit = 1e-2,
                                        .decode = DecodeSuperBlocks<Q8_KKernel>,
                                        .columns = DecodeSuperColumns<Q8_KKernel>,
                                        .encode = EncodeSuperBlocks<Q8_KKernel>};

}  // namespace retort
