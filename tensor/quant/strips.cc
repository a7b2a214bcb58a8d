// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/strips.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace retort {
namespace {

template <class Block>
struct StripOf;
template <>
struct StripOf<BlockQ8_0> {
  using Type = StripBlockQ8_0;
  static constexpr uint32_t kFlip = 0x80808080;  // adds 128 to four bytes
};
template <>
struct StripOf<BlockQ4_0> {
  using Type = StripBlockQ4_0;
  static constexpr uint32_t kFlip = 0;
};

// Writes rows [0, rows) of a strip. The other rows are zeros: their scales are 0.
template <class Block>
void LayStrip(const Block* from, int64_t rows, int64_t blocks, typename StripOf<Block>::Type* to) {
  for (int64_t b = 0; b < blocks; ++b, ++to) {
    if (rows < kStripRows) *to = {};
    for (int64_t r = 0; r < rows; ++r) {
      const Block& block = from[r * blocks + b];
      to->d[r] = block.d;
      for (size_t k = 0; k < std::size(to->q); ++k) {
        uint32_t word;
        std::memcpy(&word, block.q + 4 * k, 4);
        word ^= StripOf<Block>::kFlip;
        std::memcpy(to->q[k][r], &word, 4);
      }
    }
  }
}

template <class Block>
void LayStrips(const Weight& w, std::byte* out, ThreadPool& pool) {
  const int64_t blocks = w.cols() / kBlockValues;
  const auto* from = reinterpret_cast<const Block*>(w.bytes().data());
  auto* to = reinterpret_cast<typename StripOf<Block>::Type*>(out);
  pool.For(StripCount(w.rows()), [&](int64_t strip, int) {
    const int64_t row = strip * kStripRows;
    LayStrip(from + row * blocks, std::min(kStripRows, w.rows() - row), blocks,
             to + strip * blocks);
  });
}

}  // namespace

Weight InStrips(const Weight& w, Memory& memory, ThreadPool& pool) {
  RETORT_CHECK(HasStrips(w.format()) && w.layout() == WeightLayout::kRows);
  const int64_t bytes = StripCount(w.rows()) * StripBytes(w.format(), w.cols());
  auto buffer = memory.AllocateLasting(bytes);
  if (w.format() == WeightFormat::kQ8_0) {
    LayStrips<BlockQ8_0>(w, buffer->data(), pool);
  } else {
    LayStrips<BlockQ4_0>(w, buffer->data(), pool);
  }
  const Bytes view(buffer->data(), static_cast<size_t>(bytes));
  return Weight(w.format(), w.rows(), w.cols(), view, std::move(buffer), {}, WeightLayout::kStrips);
}

template <class Block>
Block BlockOf(const Weight& w, int64_t row, int64_t b) {
  const auto& strip = StripAt<typename StripOf<Block>::Type>(w, row)[b];
  Block block;
  block.d = strip.d[row % kStripRows];
  for (size_t k = 0; k < std::size(strip.q); ++k) {
    uint32_t word;
    std::memcpy(&word, strip.q[k][row % kStripRows], 4);
    word ^= StripOf<Block>::kFlip;
    std::memcpy(block.q + 4 * k, &word, 4);
  }
  return block;
}

template BlockQ8_0 BlockOf(const Weight&, int64_t, int64_t);
template BlockQ4_0 BlockOf(const Weight&, int64_t, int64_t);

namespace {

// Converts a few blocks at a time to the layout of rows and decodes them with the format's decoder.
template <class Block>
void DecodeGathered(Isa isa, const Weight& w, int64_t first, int64_t blocks, float* out) {
  constexpr int64_t kGroup = 16;
  const int64_t row_blocks = w.cols() / kBlockValues;
  for (int64_t done = 0; done < blocks; done += kGroup) {
    const int64_t n = std::min(kGroup, blocks - done);
    std::array<Block, kGroup> group;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t index = first + done + i;
      group[static_cast<size_t>(i)] = BlockOf<Block>(w, index / row_blocks, index % row_blocks);
    }
    const Bytes bytes = std::as_bytes(std::span(group).first(static_cast<size_t>(n)));
    const Weight row(w.format(), 1, n * kBlockValues, bytes, nullptr);
    TraitsOf(w.format()).decode(isa, row, 0, n, out + done * kBlockValues);
  }
}

}  // namespace

void DecodeStrips(Isa isa, const Weight& w, int64_t first, int64_t blocks, float* out) {
  if (w.format() == WeightFormat::kQ8_0)
    return DecodeGathered<BlockQ8_0>(isa, w, first, blocks, out);
  DecodeGathered<BlockQ4_0>(isa, w, first, blocks, out);
}

}  // namespace retort
