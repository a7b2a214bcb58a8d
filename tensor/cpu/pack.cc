// SPDX-License-Identifier: Apache-2.0
// Decodes weights into BlockGemm's panels. A panel is 64 words of 32 bits wide for both types: a
// word is one float, or a pair of bf16 at consecutive depths.
#include <algorithm>
#include <array>
#include <cstring>

#include "tensor/cpu/products.h"
#include "tensor/cpu/transpose.h"
#include "tensor/quant/decode.h"

namespace retort {
namespace {

constexpr int64_t kTileRows = 16;  // weight rows transposed at a time

struct TransposeKernel {
  template <int W>
  RETORT_INLINE static void Run(const std::byte* from, int64_t words, std::byte* to) {
    Transpose<W>(reinterpret_cast<const uint32_t*>(from), words, kTileRows, words,
                 reinterpret_cast<uint32_t*>(to), kPanel);
  }
};

// Decodes one row's values into a strip, padded with zeros; all zeros for rows beyond the weight.
template <class T>
void DecodeStrip(Isa isa, const Weight& w, int64_t row, int64_t begin, int64_t width, T* strip) {
  const int64_t count = row < w.rows() ? std::clamp<int64_t>(w.cols() - begin, 0, width) : 0;
  if (count > 0) DecodeRow(isa, w, row, begin, count, strip);
  std::memset(static_cast<void*>(strip + count), 0, static_cast<size_t>(width - count) * sizeof(T));
}

template <class T>
void Transposed(Isa isa, const Weight& w, int64_t panel, int64_t first, int64_t padded,
                std::byte* scratch, std::byte* to) {
  constexpr int64_t kStrip = kPackScratchBytes / kTileRows / int64_t{sizeof(T)};
  constexpr int64_t kPerWord = 4 / sizeof(T);
  T* strips = reinterpret_cast<T*>(scratch);
  for (int64_t k = 0; k < padded; k += kStrip) {
    const int64_t width = std::min(kStrip, padded - k);
    for (int64_t top = 0; top < kPanel; top += kTileRows) {
      for (int64_t r = 0; r < kTileRows; ++r) {
        DecodeStrip(isa, w, panel * kPanel + top + r, first + k, width, strips + r * width);
      }
      CallSimd<TransposeKernel>(isa, scratch, width / kPerWord,
                                to + (k / kPerWord * kPanel + top) * 4);
    }
  }
}

// Packs rows of floats into a panel of bf16 pairs.
void PackPairs(Isa isa, const float* rows, int64_t count, std::byte* to) {
  alignas(64) std::array<BF16, 2 * kPanel> rounded;
  auto* pairs = reinterpret_cast<uint32_t*>(to);
  for (int64_t k = 0; k < count; k += 2, pairs += kPanel) {
    RoundToBF16(isa, rows + k * kPanel, 2 * kPanel, rounded.data());
    for (size_t i = 0; i < kPanel; ++i)
      pairs[i] = rounded[i].bits | uint32_t{rounded[i + kPanel].bits} << 16;
  }
}

// Packs rows [first, first + count) of a panel, and zeros up to `padded`.
void Straight(Isa isa, DType type, const Weight& w, int64_t panel, int64_t first, int64_t count,
              int64_t padded, std::byte* scratch, std::byte* to) {
  constexpr int64_t kRows = kPackScratchBytes / kPanel / int64_t{sizeof(float)};
  for (int64_t k = 0; k < padded; k += kRows) {
    const int64_t rows = std::min(kRows, padded - k),
                  filled = std::clamp<int64_t>(count - k, 0, rows);
    auto* floats = reinterpret_cast<float*>(type == DType::kF32 ? to + k * kPanel * 4 : scratch);
    if (filled > 0) DecodeColumns(isa, w, first + k, filled, panel * kPanel, floats);
    std::fill(floats + filled * kPanel, floats + rows * kPanel, 0.0f);
    if (type == DType::kBF16) PackPairs(isa, floats, rows, to + k * kPanel * 2);
  }
}

}  // namespace

PackPanel PackTransposed(Isa isa, DType type, const Weight& w) {
  return [=](int64_t panel, int64_t first, int64_t, int64_t padded, std::byte* scratch,
             std::byte* to) {
    if (type == DType::kBF16) return Transposed<BF16>(isa, w, panel, first, padded, scratch, to);
    Transposed<float>(isa, w, panel, first, padded, scratch, to);
  };
}

PackPanel PackStraight(Isa isa, DType type, const Weight& w) {
  return [=](int64_t panel, int64_t first, int64_t count, int64_t padded, std::byte* scratch,
             std::byte* to) { Straight(isa, type, w, panel, first, count, padded, scratch, to); };
}

Weight AsWeight(const Tensor& matrix) {
  const Bytes bytes{matrix.raw(), static_cast<size_t>(matrix.bytes())};
  return Weight(WeightFormat::kF32, matrix.rows(), matrix.cols(), bytes, nullptr);
}

}  // namespace retort
