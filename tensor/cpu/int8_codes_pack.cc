// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/int8_codes_pack.h"

#include <algorithm>

#include "tensor/cpu/int8_codes.h"
#include "tensor/quant/super_codes.h"

namespace retort {
namespace {

// Writes row `row` of a strip: block `b` of `from`, which has eight.
void PackRow(const SuperCodes& from, int64_t b, int64_t row, std::byte* to) {
  for (int64_t k = 0; k < 8; ++k)
    std::memcpy(to + (k * kStripRows + row) * 4, from.code + b * kBlockValues + k * 4, 4);
  auto& scales = *reinterpret_cast<CodeScales*>(to + kCodeBytes);
  for (int64_t half = 0; half < 2; ++half) {
    scales.scale[half][row] = from.scale[2 * b + half];
    scales.minimum[half][row] = from.minimum[2 * b + half];
  }
}

}  // namespace

// Rows beyond the last repeat it; nobody reads their products.
PackedInt8 CodeTiles::Pack(const Weight& w, int64_t row, int64_t first, int64_t blocks,
                           std::byte* room) const {
  constexpr int64_t kMost = 2;  // blocks of 256: Sizes::most_blocks
  const BlockFormat& format = TraitsOf(w.format());
  const int64_t unit = format.block_elements / kBlockValues,
                row_units = w.cols() / format.block_elements;
  SuperCodes codes[kMost];
  for (int64_t r = 0; r < kStripRows; ++r) {
    const int64_t from = std::min(row + r, w.rows() - 1) * row_units + first / unit;
    format.codes(isa_, w, from, blocks / unit, codes);
    for (int64_t b = 0; b < blocks; ++b)
      PackRow(codes[b / 8], b % 8, r, room + b * kPackedCodeBytes);
  }
  return {room, kPackedCodeBytes, nullptr, &format};
}

void CodeTilesForward(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows,
                      std::span<WeightProduct> products) {
  const int64_t cols = products[0].w->cols();
  const Int8Rows quantised(pool, memory, isa, x, rows, cols, products[0].arithmetic.wide);
  Int8PanelForward(pool, memory, CodeTiles(isa, cols), quantised, products);
}

}  // namespace retort
