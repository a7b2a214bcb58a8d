// SPDX-License-Identifier: Apache-2.0
// The warp's matrix instructions as plain loops (PTX ISA, "Matrix fragments for mma.m16n8k16" and
// "ldmatrix").
#include "tensor/cuda/language/kernel_language.h"

namespace retort::cuda {
namespace {

struct Fragments {
  uint32_t a[4], b[2];
};

}  // namespace

void MultiplyTiles(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                   const emulated::Place& place) {
  Fragments own;
  std::memcpy(own.a, a, sizeof(own.a));
  std::memcpy(own.b, b, sizeof(own.b));
  const int lane = LaneOf();
  const std::array<Fragments, 32> all = emulated::ExchangeAs(own, place);
  // a [16,16] and b [16,8], put together from all lanes.
  const auto left = [&](int row, int k) {
    const auto holder = static_cast<size_t>(row % 8 * 4 + k % 8 / 2);
    return HalfOf(all[holder].a[row / 8 + 2 * (k / 8)], k % 2);
  };
  const auto right = [&](int k, int col) {
    const auto holder = static_cast<size_t>(col * 4 + k % 8 / 2);
    return HalfOf(all[holder].b[k / 8], k % 2);
  };
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + 8 * (i / 2), col = lane % 4 * 2 + i % 2;
    for (int k = 0; k < 16; ++k) d[i] += left(row, k) * right(k, col);
  }
}

void ArrangeTiles(uint32_t (&r)[4], const TileRow& own, bool transposed,
                  const emulated::Place& place) {
  const int lane = LaneOf(), g = lane / 4, t = lane % 4;
  const std::array<TileRow, 32> rows = emulated::ExchangeAs(own, place);
  for (int m = 0; m < 4; ++m) {
    const auto value = [&](int row, int col) {
      return uint32_t{rows[static_cast<size_t>(8 * m + row)].value[col]};
    };
    const uint32_t low = transposed ? value(2 * t, g) : value(g, 2 * t);
    const uint32_t high = transposed ? value(2 * t + 1, g) : value(g, 2 * t + 1);
    r[m] = low | high << 16;
  }
}

}  // namespace retort::cuda
