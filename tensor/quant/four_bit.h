// SPDX-License-Identifier: Apache-2.0
// Shared by NF4 and FP4 (bitsandbytes): blocks of 64 consecutive values of the flattened matrix; a
// value is absmax * code[q], q has 4 bits. A format is a struct with its 16 values, kCodes, and the
// codes by rising value, kOrder. Internal to the files of these formats.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "tensor/quant/format_kernels.h"
#include "tensor/quant/quant.h"
#include "tensor/weight.h"

namespace retort {

inline constexpr int64_t kFourBitValues = 64;  // of a block
inline constexpr int64_t kFourBitBytes = 32;
inline constexpr int64_t kNestedBlock = 256;  // maxima
inline constexpr float kLeastMaximum = 1e-38f;

std::span<const float, 16> Nf4Codes();
std::span<const float, 16> Fp4Codes();

// Quantises block maxima to 8-bit codes of the dynamic map, in blocks of 256, after subtracting
// their mean.
Nf4Scales DoubleQuantised(std::span<const float> absmax, Memory& memory);

// The kernels of a format whose 16 values are Values::kCodes.
template <class Values>
struct FourBitKernel {
  template <int W>
  RETORT_INLINE static void Run(const std::byte* in, const float* scales, int64_t blocks,
                                float* out) {
    const float* table = Values::kCodes.data();
    for (int64_t b = 0; b < blocks; ++b) {
      for (int half = 0; half < 2; ++half, in += 16, out += 32) {
        // The first of two values is in the high half of a byte: move it to the lower address.
        const auto pairs = __builtin_convertvector(LoadAs<Chars<16>>(in), Halves<16>);
        const Halves<16> spread = pairs >> 4 | (pairs & 15) << 8;
        uint8_t codes[32];
        std::memcpy(codes, &spread, sizeof codes);
        for (int i = 0; i < 32; i += W) {
          const auto q = Widened<W>(LoadAs<Chars<W>>(codes + i));
          Store<W>(out + i, LookUp<W>(table, q) * scales[b]);
        }
      }
    }
  }
};

template <class Values>
void DecodeFourBit(Isa isa, const Weight& w, int64_t first, int64_t blocks, float* out) {
  constexpr int64_t kGroup = 32;  // blocks whose maxima are decoded at a time
  const int64_t whole = static_cast<int64_t>(w.bytes().size()) / kFourBitBytes;
  for (const int64_t end = first + blocks; first < end;) {
    const int64_t n = std::min(kGroup, end - first);
    std::array<float, kGroup> scales;
    BlockMaxima(w.nf4(), first, std::span(scales).first(static_cast<size_t>(n)));
    const std::byte* codes = w.bytes().data() + first * kFourBitBytes;
    const int64_t full = std::min(n, whole - first);
    CallSimd<FourBitKernel<Values>>(isa, codes, static_cast<const float*>(scales.data()), full,
                                    out);
    if (full < n) {  // the short last block
      std::array<std::byte, kFourBitBytes> padded{};
      std::copy(codes + full * kFourBitBytes, w.bytes().data() + w.bytes().size(), padded.begin());
      CallSimd<FourBitKernel<Values>>(isa, static_cast<const std::byte*>(padded.data()),
                                      static_cast<const float*>(scales.data() + full), int64_t{1},
                                      out + full * kFourBitValues);
    }
    first += n;
    out += n * kFourBitValues;
  }
}

template <class Values>
struct FourBitColumnsKernel {
  static constexpr int64_t kAhead = 16;
  template <int W>
  RETORT_INLINE static void Run(const std::byte* in, int64_t stride, const float* scales,
                                int64_t count, float* out) {
    for (int64_t k = 0; k < count; ++k) {
      __builtin_prefetch(in + std::min(k + kAhead, count - 1) * stride);
      FourBitKernel<Values>::template Run<W>(in + k * stride, scales + k, 1,
                                             out + k * kDecodedCols);
    }
  }
};
static_assert(kDecodedCols == kFourBitValues);

// Only for matrices whose rows are whole blocks.
template <class Values>
void DecodeFourBitColumns(Isa isa, const Weight& w, int64_t first, int64_t count, int64_t col,
                          float* out) {
  constexpr int64_t kGroup = 64;  // rows whose maxima are decoded at a time
  const int64_t row_blocks = w.cols() / kFourBitValues;
  for (int64_t k = 0; k < count; k += kGroup) {
    const int64_t n = std::min(kGroup, count - k);
    const int64_t block = (first + k) * row_blocks + col / kFourBitValues;
    std::array<float, kGroup> scales;
    for (int64_t i = 0; i < n; ++i) {
      BlockMaxima(w.nf4(), block + i * row_blocks,
                  std::span(scales).subspan(static_cast<size_t>(i), 1));
    }
    CallSimd<FourBitColumnsKernel<Values>>(
        isa, w.bytes().data() + block * kFourBitBytes, row_blocks * kFourBitBytes,
        static_cast<const float*>(scales.data()), n, out + k * kDecodedCols);
  }
}

// Halfway between neighbours of Values::kOrder, the codes by rising value.
template <class Values>
constexpr std::array<float, 15> kMidpoints = [] {
  std::array<float, 15> m{};
  for (size_t i = 0; i < m.size(); ++i)
    m[i] = (Values::kCodes[Values::kOrder[i]] + Values::kCodes[Values::kOrder[i + 1]]) / 2;
  return m;
}();

// `units`: values divided by their block's maximum.
template <class Values>
void EncodeUnits(const float* units, uint8_t* code) {
  int32_t below[kFourBitValues] = {};
  for (const float midpoint : kMidpoints<Values>) {
    for (int64_t i = 0; i < kFourBitValues; ++i) below[i] += units[i] > midpoint;
  }
  for (int64_t i = 0; i < kFourBitValues; ++i)
    code[i] = Values::kOrder[static_cast<size_t>(below[i])];
}

// Encodes `values` (blocks of 64; the last may be short) to one maximum of magnitudes per block and
// two values per byte, the first in the high half. A value's code is the one whose place is the
// number of midpoints that are strictly below value / maximum; the quotient is a product with
// 1 / maximum, but in a short block, whose maximum is also never 0, as in bitsandbytes. Zeros and
// what is missing get the code of 0.
template <class Values>
void EncodeFlat(std::span<const float> values, std::byte* codes, float* absmax) {
  const int64_t count = static_cast<int64_t>(values.size());
  for (int64_t begin = 0; begin < count; begin += kFourBitValues) {
    const int64_t n = std::min(kFourBitValues, count - begin);
    // By their bits, in which NaN is above infinity: a NaN in a block makes all of it NaN.
    uint32_t top_bits = 0;
    for (int64_t i = 0; i < n; ++i)
      top_bits = std::max(top_bits, std::bit_cast<uint32_t>(values[begin + i]) & 0x7fffffff);
    const auto top = std::bit_cast<float>(top_bits), divisor = std::max(top, kLeastMaximum);
    const bool whole = n == kFourBitValues;
    *absmax++ = whole ? top : divisor;
    float units[kFourBitValues] = {};
    for (int64_t i = 0; i < n; ++i)
      units[i] = whole ? values[begin + i] * (1 / divisor) : values[begin + i] / divisor;
    uint8_t code[kFourBitValues];
    EncodeUnits<Values>(units, code);
    for (int64_t i = 0; i < n; i += 2) {
      *codes++ = static_cast<std::byte>(code[i] << 4 | code[i + 1]);
    }
  }
}

// Values [begin, begin + count) of the flattened matrix.
inline void DecodeFlat(const Weight& w, int64_t begin, int64_t count, float* out) {
  while (count > 0) {
    const int64_t row = begin / w.cols(), col = begin % w.cols();
    const int64_t n = std::min(count, w.cols() - col);
    DecodeRow(w, row, col, n, out);
    begin += n;
    count -= n;
    out += n;
  }
}

template <class Values>
Weight EncodedFourBit(WeightFormat format, const Weight& source, bool double_quant, Memory& memory,
                      ThreadPool& pool) {
  constexpr int64_t kPieceBlocks = 512, kPieceValues = kPieceBlocks * kFourBitValues;
  const int64_t values = source.rows() * source.cols(), bytes = (values + 1) / 2;
  auto buffer = memory.Allocate(bytes);
  const int64_t blocks = (values + kFourBitValues - 1) / kFourBitValues;
  Tensor absmax = Tensor::Make(memory, {blocks}, DType::kF32);
  const Tensor flat_of = Tensor::Make(memory, {pool.threads(), kPieceValues}, DType::kF32);
  pool.For((values + kPieceValues - 1) / kPieceValues, [&](int64_t piece, int worker) {
    float* flat = flat_of.data<float>() + worker * kPieceValues;
    const int64_t begin = piece * kPieceValues, n = std::min(kPieceValues, values - begin);
    DecodeFlat(source, begin, n, flat);
    EncodeFlat<Values>({flat, static_cast<size_t>(n)}, buffer->data() + begin / 2,
                       absmax.data<float>() + piece * kPieceBlocks);
  });
  Nf4Scales scales;
  if (double_quant) {
    scales = DoubleQuantised({absmax.data<float>(), static_cast<size_t>(blocks)}, memory);
  } else {
    scales.absmax = std::move(absmax);
  }
  const Bytes view(buffer->data(), static_cast<size_t>(bytes));
  return Weight(format, source.rows(), source.cols(), view, std::move(buffer), std::move(scales));
}

}  // namespace retort
