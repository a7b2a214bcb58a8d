// SPDX-License-Identifier: Apache-2.0
// Weights, decoded, into BlockGemm's panels. A panel is 64 words of 32 bits wide in both types: a
// float, or a pair of bf16 that follow each other in depth.
#include <algorithm>
#include <cstring>
#include <utility>

#include "tensor/cpu/products.h"
#include "tensor/quant/decode.h"

namespace retort {
namespace {

constexpr int64_t kTileRows = 16;  // weight rows that are transposed together

// Lanes of a and b mixed so that steps 1, 2, 4 ... W/2 over pairs of rows transpose a W x W tile.
template <int W, int S, bool kHigh, int... L>
RETORT_INLINE Ints<W> Mixed(Ints<W> a, Ints<W> b, std::integer_sequence<int, L...>) {
  return __builtin_shufflevector(a, b,
                                 (kHigh ? (L & S ? W + L : L + S) : (L & S ? W + L - S : L))...);
}

template <int W, int S = 1>
RETORT_INLINE void TransposeTile(Ints<W>* rows) {
  if constexpr (S < W) {
    using Lanes = std::make_integer_sequence<int, W>;
    for (int i = 0; i < W; ++i) {
      if (i & S) continue;
      const Ints<W> a = rows[i], b = rows[i + S];
      rows[i] = Mixed<W, S, false>(a, b, Lanes{});
      rows[i + S] = Mixed<W, S, true>(a, b, Lanes{});
    }
    TransposeTile<W, 2 * S>(rows);
  }
}

struct TransposeKernel {
  template <int W>
  RETORT_INLINE static void Run(const std::byte* from, int64_t stride, int64_t words,
                                std::byte* to) {
    for (int64_t j = 0; j < words; j += W) {
      for (int64_t top = 0; top < kTileRows; top += W) {
        Ints<W> tile[W];
        for (int r = 0; r < W; ++r)
          std::memcpy(&tile[r], from + ((top + r) * stride + j) * 4, W * 4);
        TransposeTile<W>(tile);
        for (int i = 0; i < W; ++i) std::memcpy(to + ((j + i) * kPanel + top) * 4, &tile[i], W * 4);
      }
    }
  }
};

// to[i] = even[i] | odd[i] << 16
struct PairKernel {
  template <int W>
  RETORT_INLINE static void Run(const std::byte* even, const std::byte* odd, std::byte* to) {
    for (int64_t i = 0; i < kPanel; i += W) {
      const Ints<W> pair = LoadWidened<W>(even + i * 2) | LoadWidened<W>(odd + i * 2) << 16;
      std::memcpy(to + i * 4, &pair, sizeof pair);
    }
  }
};

// One row's values into a strip that is zero beyond them; a row that does not exist is all zeros.
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
      TransposeWords(isa, scratch, width / kPerWord, width / kPerWord,
                     to + (k / kPerWord * kPanel + top) * 4);
    }
  }
}

}  // namespace

void TransposeWords(Isa isa, const std::byte* from, int64_t stride, int64_t words, std::byte* to) {
  CallSimd<TransposeKernel>(isa, from, stride, words, to);
}

void PackTransposed(Isa isa, DType type, const Weight& w, int64_t panel, int64_t first, int64_t,
                    int64_t padded, std::byte* scratch, std::byte* to) {
  if (type == DType::kBF16) return Transposed<BF16>(isa, w, panel, first, padded, scratch, to);
  Transposed<float>(isa, w, panel, first, padded, scratch, to);
}

void PackStraight(Isa isa, DType type, const Weight& w, int64_t panel, int64_t panels,
                  int64_t first, int64_t count, int64_t padded, std::byte* scratch, std::byte* to) {
  const int64_t col = panel * kPanel, width = panels * kPanel;
  const auto row_of = [&](int64_t k) { return k < count ? first + k : w.rows(); };
  if (type == DType::kF32) {
    auto* strip = reinterpret_cast<float*>(scratch);
    for (int64_t k = 0; k < padded; ++k) {
      DecodeStrip(isa, w, row_of(k), col, width, strip);
      for (int64_t i = 0; i < panels; ++i) {
        std::memcpy(to + (i * padded + k) * kPanel * 4, strip + i * kPanel, kPanel * 4);
      }
    }
    return;
  }
  auto* even = reinterpret_cast<BF16*>(scratch);
  BF16* odd = even + width;
  for (int64_t k = 0; k < padded; k += 2) {
    DecodeStrip(isa, w, row_of(k), col, width, even);
    DecodeStrip(isa, w, row_of(k + 1), col, width, odd);
    for (int64_t i = 0; i < panels; ++i) {
      CallSimd<PairKernel>(isa, reinterpret_cast<const std::byte*>(even + i * kPanel),
                           reinterpret_cast<const std::byte*>(odd + i * kPanel),
                           to + (i * padded + k) * kPanel * 2);
    }
  }
}

}  // namespace retort
