// SPDX-License-Identifier: Apache-2.0
// BlockFormat::codes of formats with blocks of 32 values, as a template over a kernel.
#pragma once

#include "tensor/cpu/fetch.h"
#include "tensor/quant/format_kernels.h"
#include "tensor/quant/super_codes.h"

namespace retort {

// Of 32 codes, as in SuperCodes.
struct CodeScale {
  float scale, minimum;
};

// Kernel defines
//   static CodeScale Codes(const Block& b, uint8_t* codes);  // of 32 values
template <class Kernel>
struct BlockCodesKernel {
  template <int W>
  RETORT_INLINE static void Run(const typename Kernel::Block* in, int64_t blocks, SuperCodes* out) {
    for (int64_t b = 0; b < RoundedUp(blocks); ++b) {
      SuperCodes& to = out[b / 8];
      CodeScale of{};
      if (b < blocks) {
        FetchAhead<sizeof in[b]>(in + b);
        of = Kernel::Codes(in[b], to.code + b % 8 * 32);
      } else {
        std::memset(to.code + b % 8 * 32, 0, 32);
      }
      for (int64_t g = b % 8 * 2; g < b % 8 * 2 + 2; ++g) {
        to.scale[g] = of.scale;
        to.minimum[g] = of.minimum;
      }
    }
  }
  static constexpr int64_t RoundedUp(int64_t blocks) { return (blocks + 7) / 8 * 8; }
};
template <class Kernel>
void BlockCodes(Isa isa, const Weight& w, int64_t first, int64_t blocks, SuperCodes* out) {
  CallSimd<BlockCodesKernel<Kernel>>(isa, BlocksOf<typename Kernel::Block>(w, first), blocks, out);
}

// Value i in the low, value i + 16 in the high four bits of q[i].
RETORT_INLINE void StoreNibbles(const uint8_t* q, uint8_t* codes) {
  const auto both = LoadAs<Chars<16>>(q);
  StoreHalves(both & 15, both >> 4, codes);
}

}  // namespace retort
