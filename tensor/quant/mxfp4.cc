// SPDX-License-Identifier: Apache-2.0
// MXFP4 (OCP Microscaling Formats 1.0) as ggml stores it: 32 values 2^(e - 128) * level[q], e of 8
// bits, q of 4 bits. The levels are twice those of FP4 (E2M1).
#include <algorithm>
#include <bit>
#include <cmath>

#include "tensor/quant/format_kernels.h"
#include "tensor/quant/levels.h"

namespace retort {
namespace {

// The low four bits of q[i] are value i, the high four value i + 16.
struct BlockMxfp4 {
  uint8_t e;
  uint8_t q[16];
};
static_assert(sizeof(BlockMxfp4) == 17);

RETORT_INLINE float UnitOf(uint8_t e) {  // subnormal for e of 0 and 1
  const uint32_t bits = e < 2 ? 0x00200000u << e : (uint32_t{e} - 1) << 23;
  return std::bit_cast<float>(bits);
}

struct Mxfp4Kernel {
  using Block = BlockMxfp4;
  static constexpr int64_t kValues = 32;

  template <int W>
  RETORT_INLINE static void Run(const Block* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b, out += kValues) {
      const float unit = UnitOf(in[b].e);
      for (int i = 0; i < 16; i += W) {
        const auto q = Widened<W>(LoadAs<Chars<W>>(in[b].q + i));
        Store<W>(out + i, LookUp<W>(kMxfp4Levels, q & 15) * unit);
        Store<W>(out + 16 + i, LookUp<W>(kMxfp4Levels, q >> 4) * unit);
      }
    }
  }

  // Magnitudes from 8 to 16 units are the largest. Codes are of the nearest level, the smaller one
  // if two are equally near. The logarithm is rounded: just below a power of two it is that
  // power's.
  template <int W>
  RETORT_INLINE static Block Encoded(const float* x) {
    Floats<W> top = {};
    for (int i = 0; i < 32; i += W) top = Max<W>(Magnitude<W>(Load<W>(x + i)), top);
    const float largest = MaxLane<W>(top);
    const float power = std::min(std::floor(std::log2(largest)), 128.0f);  // infinity has one too
    const int e = largest > 0 ? static_cast<int>(power) - 2 + 127 : 0;
    Block block{.e = static_cast<uint8_t>(e)};
    const float unit = UnitOf(block.e);
    const auto codes = [&](const float* from) RETORT_INLINE_LAMBDA {
      const Floats<W> v = Load<W>(from), magnitude = Magnitude<W>(v);
      Ints<W> code = {};
      for (int k = 0; k < 7; ++k)
        code -= magnitude > (kMxfp4Levels[k] + kMxfp4Levels[k + 1]) / 2 * unit;
      return code | ((v < 0.0f) & (code != 0) & 8);
    };
    for (int i = 0; i < 16; i += W)
      StoreBytes<W>(block.q + i, codes(x + i) | codes(x + 16 + i) << 4);
    return block;
  }
};

}  // namespace

extern const BlockFormat kMxfp4Format = {.name = "mxfp4",
                                         .block_elements = 32,
                                         .block_bytes = sizeof(BlockMxfp4),
                                         .alignment = alignof(BlockMxfp4),
                                         .ggml_type = 39,
                                         .file_type = 38,
                                         .kl_limit = 2.0,
                                         .decode = DecodeBlocks<Mxfp4Kernel>,
                                         .columns = DecodeBlockColumns<Mxfp4Kernel>,
                                         .encode = EncodeBlocks<Mxfp4Kernel>};

}  // namespace retort
