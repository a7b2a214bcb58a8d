// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/decode.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "tensor/quant/format_kernels.h"
#include "tensor/quant/quant.h"
#include "tensor/quant/strips.h"

namespace retort {
namespace {

struct RoundKernel {
  template <int W>
  RETORT_INLINE static Halves<W> Rounded(Floats<W> v) {
    const Ints<W> u = (Ints<W>)v;
    const Ints<W> nearest = u + 0x7fff + (u >> 16 & 1);
    const Ints<W> bits = (u & 0x7fffffff) > 0x7f800000 ? u | 0x400000 : nearest;
    return __builtin_convertvector(bits >> 16 & 0xffff, Halves<W>);
  }
  template <int W>
  RETORT_INLINE static void Run(const float* in, int64_t n, BF16* out) {
    int64_t i = 0;
    for (; i + W <= n; i += W) {
      const Halves<W> h = Rounded<W>(Load<W>(in + i));
      std::memcpy(out + i, &h, sizeof h);
    }
    for (; i < n; ++i) out[i] = ToBF16(in[i]);
  }
};

void CheckRange(const Weight& w, int64_t row, int64_t begin, int64_t count) {
  RETORT_CHECK(row >= 0 && row < w.rows() && begin >= 0 && count >= 0 && begin + count <= w.cols(),
               "row ", row, " values ", begin, " + ", count, " of ", w.rows(), " x ", w.cols());
}

}  // namespace

void RoundToBF16(Isa isa, const float* values, int64_t count, BF16* out) {
  CallSimd<RoundKernel>(isa, values, count, out);
}

// Whole blocks are decoded directly into `out`; a partial first or last block goes through a
// buffer.
void DecodeRow(Isa isa, const Weight& w, int64_t row, int64_t begin, int64_t count, float* out) {
  CheckRange(w, row, begin, count);
  const BlockFormat& f = TraitsOf(w.format());
  const auto decode = w.layout() == WeightLayout::kStrips ? DecodeStrips : f.decode;
  const int shift = std::countr_zero(static_cast<unsigned>(f.block_elements));
  const int64_t values = f.block_elements;
  // Valid for both kinds of formats: rows of whole blocks, and blocks over the flattened matrix.
  int64_t at = row * w.cols() + begin;
  if (((at | count) & (values - 1)) == 0) return decode(isa, w, at >> shift, count >> shift, out);
  while (count > 0) {
    const int64_t skip = at & (values - 1);
    int64_t done;
    if (skip == 0 && count >= values) {
      done = count & -values;
      decode(isa, w, at >> shift, count >> shift, out);
    } else {
      float whole[kMostBlockElements];
      decode(isa, w, at >> shift, 1, whole);
      done = std::min(values - skip, count);
      std::copy_n(whole + skip, done, out);
    }
    at += done;
    count -= done;
    out += done;
  }
}

void DecodeRow(Isa isa, const Weight& w, int64_t row, int64_t begin, int64_t count, BF16* out) {
  if (w.format() == WeightFormat::kBF16) {
    CheckRange(w, row, begin, count);
    std::memcpy(out, BlocksOf<BF16>(w, row * w.cols() + begin),
                static_cast<size_t>(count) * sizeof(BF16));
    return;
  }
  constexpr int64_t kChunk = 512;
  std::array<float, kChunk> values;
  for (int64_t done = 0; done < count; done += kChunk) {
    const int64_t n = std::min(kChunk, count - done);
    DecodeRow(isa, w, row, begin + done, n, values.data());
    RoundToBF16(isa, values.data(), n, out + done);
  }
}

void DecodeRow(const Weight& w, int64_t row, int64_t begin, int64_t count, float* out) {
  DecodeRow(HostIsa(), w, row, begin, count, out);
}
void DecodeRow(const Weight& w, int64_t row, int64_t begin, int64_t count, BF16* out) {
  DecodeRow(HostIsa(), w, row, begin, count, out);
}

void DecodeColumns(Isa isa, const Weight& w, int64_t first, int64_t count, int64_t col,
                   float* out) {
  RETORT_CHECK(first >= 0 && count >= 0 && first + count <= w.rows() && col >= 0 &&
                   col % kDecodedCols == 0 && col < w.cols(),
               "rows ", first, " + ", count, ", column ", col, " of ", w.rows(), " x ", w.cols());
  const BlockFormat& f = TraitsOf(w.format());
  const bool whole_rows = w.layout() == WeightLayout::kRows && w.cols() % f.block_elements == 0;
  if (f.columns && whole_rows && col + kDecodedCols <= w.cols())
    return f.columns(isa, w, first, count, col, out);
  const int64_t n = std::min(kDecodedCols, w.cols() - col);
  for (int64_t k = 0; k < count; ++k, out += kDecodedCols) {
    DecodeRow(isa, w, first + k, col, n, out);
    std::fill(out + n, out + kDecodedCols, 0.0f);
  }
}

}  // namespace retort
