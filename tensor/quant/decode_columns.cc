// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "tensor/quant/decode.h"
#include "tensor/quant/decode_kernels.h"
#include "tensor/quant/nf4.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

// 64 columns of row k, by format.
template <class T>
struct PlainColumns {
  const T* from;
  int64_t stride;
  const void* At(int64_t k) const { return from + k * stride; }
  template <int W> RETORT_INLINE void Decode(int64_t k, float* out) const {
    for (int64_t i = 0; i < kDecodedCols; i += W) Store<W>(out + i, Load<W>(from + k * stride + i));
  }
};
template <class Block, class Kernel>
struct BlockColumns {
  const Block* from;
  int64_t stride;
  const void* At(int64_t k) const { return from + k * stride; }
  template <int W> RETORT_INLINE void Decode(int64_t k, float* out) const {
    Kernel::template Run<W>(from + k * stride, kDecodedCols / kBlockValues, out);
  }
};
struct Nf4Columns {
  const std::byte* from;
  int64_t stride;
  const float *table, *scales;
  const void* At(int64_t k) const { return from + k * stride; }
  template <int W> RETORT_INLINE void Decode(int64_t k, float* out) const {
    Nf4Kernel::Run<W>(from + k * stride, table, scales + k, 1, out);
  }
};

// Rows lie apart, which the processor does not foresee: they are asked for some way ahead.
struct ColumnsKernel {
  static constexpr int64_t kAhead = 16;
  template <int W, class Columns>
  RETORT_INLINE static void Run(const Columns* rows, int64_t count, float* out) {
    for (int64_t k = 0; k < count; ++k) {
      __builtin_prefetch(rows->At(k + kAhead));
      rows->template Decode<W>(k, out + k * kDecodedCols);
    }
  }
};

template <class Columns>
void RunColumns(Isa isa, const Columns& rows, int64_t count, float* out) {
  CallSimd<ColumnsKernel>(isa, &rows, count, out);
}

// A matrix whose rows are whole blocks of 64.
void DecodeNf4Columns(Isa isa, const Weight& w, int64_t first, int64_t count, int64_t col,
                      float* out) {
  constexpr int64_t kGroup = 64;  // rows whose maxima are expanded at a time
  const int64_t row_blocks = w.cols() / kNf4BlockValues;
  for (int64_t k = 0; k < count; k += kGroup) {
    const int64_t n = std::min(kGroup, count - k);
    const int64_t block = (first + k) * row_blocks + col / kNf4BlockValues;
    std::array<float, kGroup> scales;
    for (int64_t i = 0; i < n; ++i) {
      ScalesOf(w.nf4(), block + i * row_blocks, std::span(scales).subspan(static_cast<size_t>(i), 1));
    }
    const Nf4Columns rows{w.bytes().data() + block * kNf4BlockBytes, row_blocks * kNf4BlockBytes,
                          Nf4Codes().data(), scales.data()};
    RunColumns(isa, rows, n, out + k * kDecodedCols);
  }
}

// Whether 64 columns from col on lie in whole blocks of every row, one after another.
bool LieInBlocks(const Weight& w, int64_t col) {
  if (w.layout() != WeightLayout::kRows) return false;
  const bool whole_rows = w.format() != WeightFormat::kNF4 || w.cols() % kNf4BlockValues == 0;
  return whole_rows && col + kDecodedCols <= w.cols();
}

}  // namespace

void DecodeColumns(Isa isa, const Weight& w, int64_t first, int64_t count, int64_t col,
                   float* out) {
  RETORT_CHECK(first >= 0 && count >= 0 && first + count <= w.rows() && col >= 0 &&
                   col % kDecodedCols == 0 && col < w.cols(),
               "rows ", first, " + ", count, ", column ", col, " of ", w.rows(), " x ", w.cols());
  if (!LieInBlocks(w, col)) {
    const int64_t n = std::min(kDecodedCols, w.cols() - col);
    for (int64_t k = 0; k < count; ++k, out += kDecodedCols) {
      DecodeRow(isa, w, first + k, col, n, out);
      std::fill(out + n, out + kDecodedCols, 0.0f);
    }
    return;
  }
  const std::byte* bytes = w.bytes().data();
  const auto plain = [&]<class T>(T) {
    const auto* from = reinterpret_cast<const T*>(bytes) + first * w.cols() + col;
    RunColumns(isa, PlainColumns<T>{from, w.cols()}, count, out);
  };
  const auto blocks = [&]<class Block, class Kernel>(Block, Kernel) {
    const int64_t row_blocks = w.cols() / kBlockValues;
    const auto* from = reinterpret_cast<const Block*>(bytes) + first * row_blocks + col / kBlockValues;
    RunColumns(isa, BlockColumns<Block, Kernel>{from, row_blocks}, count, out);
  };
  switch (w.format()) {
    case WeightFormat::kF32: return plain(float{});
    case WeightFormat::kF16: return plain(F16{});
    case WeightFormat::kBF16: return plain(BF16{});
    case WeightFormat::kQ8_0: return blocks(BlockQ8_0{}, Q8Kernel{});
    case WeightFormat::kQ4_0: return blocks(BlockQ4_0{}, Q4Kernel{});
    case WeightFormat::kNF4: return DecodeNf4Columns(isa, w, first, count, col, out);
  }
}

}  // namespace retort
