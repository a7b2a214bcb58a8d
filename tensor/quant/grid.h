// SPDX-License-Identifier: Apache-2.0
// A block as the grid that its scales span. What chooses codes by itself, such as rounding with
// error feedback (tensor/quant/feedback.h), reads the grid of an encoded block and puts its codes
// in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "tensor/dtype.h"

namespace retort {

inline constexpr int kMostGridGroups = 16;

// Value i of a block is levels[code[i]] * scale[i / group] + low[i / group].
struct BlockGrid {
  std::span<const float> levels;  // rising
  bool even;                      // the levels are integers without gaps
  int group;
  float scale[kMostGridGroups], low[kMostGridGroups];
};

// What a format offers of its blocks, which need not be aligned.
struct GridCodec {
  BlockGrid (*grid)(const std::byte* block);
  void (*put)(const uint8_t* codes, std::byte* block);  // one a value; the scales stay
  int unit;  // the place of the f16 in a block that all its scales are multiples of
};

// The levels first, first + 1, ... first + count - 1, within -128 and 127.
inline constexpr std::array<float, 256> kIntegerLevels = [] {
  std::array<float, 256> levels{};
  for (size_t i = 0; i < levels.size(); ++i) levels[i] = static_cast<float>(i) - 128;
  return levels;
}();
constexpr std::span<const float> IntegerLevels(int first, int count) {
  return std::span(kIntegerLevels)
      .subspan(static_cast<size_t>(int64_t{first} + 128), static_cast<size_t>(count));
}
// The grid of blocks with one scale.
constexpr BlockGrid UniformGrid(int first, int count, int values, float scale, float low = 0) {
  return {IntegerLevels(first, count), true, values, {scale}, {low}};
}

// Kernel defines
//   using Block = ...;  // with the f16 `d`, its unit
//   static BlockGrid Grid(const Block& block);
//   static void Put(const uint8_t* codes, Block& block);
template <class Kernel>
inline constexpr GridCodec kGridOf = {
    .grid =
        [](const std::byte* bytes) {
          typename Kernel::Block block;
          std::memcpy(&block, bytes, sizeof block);
          return Kernel::Grid(block);
        },
    .put =
        [](const uint8_t* codes, std::byte* bytes) {
          typename Kernel::Block block;
          std::memcpy(&block, bytes, sizeof block);
          Kernel::Put(codes, block);
          std::memcpy(bytes, &block, sizeof block);
        },
    .unit = static_cast<int>(offsetof(typename Kernel::Block, d))};

}  // namespace retort
