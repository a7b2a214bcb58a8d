// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/int8_tile.h"

#include <algorithm>
#include <cstring>

#include "tensor/cpu/int8_avx512.h"

namespace retort {
namespace {

#ifdef __x86_64__

// Sources of a block of weights. Quad(k, half) is four bytes of each of 16 outputs: values + 128,
// or values + 8 if kOffsetShift is 4.
struct FromPacked {
  static constexpr int kOffsetShift = 0;
  const std::byte* bytes;
  int64_t stride;
  const float* scales;

  RETORT_INT8_AVX512 __m512i Quad(int k, int half) const {
    return _mm512_load_si512(bytes + (k * 2 + half) * 64);
  }
  RETORT_INT8_AVX512 __m512 Scales(int half) const { return _mm512_load_ps(scales + half * 16); }
  void Next() { bytes += stride, scales += kStripRows; }
};
template <class StripBlock>
struct FromStrip {
  static constexpr bool kNibbles = sizeof(StripBlock) == sizeof(StripBlockQ4_0);
  static constexpr int kOffsetShift = kNibbles ? 4 : 0;
  const StripBlock* block;

  RETORT_INT8_AVX512 __m512i Quad(int k, int half) const {
    if constexpr (!kNibbles) return _mm512_load_si512(block->q[k][half * 16]);
    const __m512i pair = _mm512_load_si512(block->q[k % 4][half * 16]);
    return _mm512_and_si512(k < 4 ? pair : _mm512_srli_epi16(pair, 4), _mm512_set1_epi8(15));
  }
  RETORT_INT8_AVX512 __m512 Scales(int half) const { return LoadScales(block->d + half * 16); }
  void Next() {
    FetchAhead<sizeof(StripBlock)>(block);
    ++block;
  }
};

template <int kRows, class From>
RETORT_INT8_AVX512 void Multiply(const std::byte* tile, From w, int64_t blocks, const float* before,
                                 float* out, int64_t stride, Ahead& ahead) {
  for (int t = 0; t < kRows; ++t) {  // prefetches the lines of out during the product
    for (int i = 0; i < 2; ++i) __builtin_prefetch(out + t * stride + i * 16, 1);
  }
  __m512 sum[kRows][2];
  for (int t = 0; t < kRows; ++t) {
    for (int i = 0; i < 2; ++i)
      sum[t][i] = before ? _mm512_load_ps(before + t * kStripRows + i * 16) : _mm512_setzero_ps();
  }
  for (int64_t b = 0; b < blocks; ++b, tile += kRows * (kBlockValues + 8), w.Next()) {
    const auto* q = reinterpret_cast<const int32_t*>(tile);
    const auto* d = reinterpret_cast<const float*>(q + 8 * kRows);
    const auto* offset = q + 9 * kRows;
    __m512i dot[kRows][2];
    for (int t = 0; t < kRows; ++t) {
      dot[t][0] = dot[t][1] = _mm512_set1_epi32(offset[t] >> From::kOffsetShift);
    }
    for (int k = 0; k < 8; ++k) {
      const __m512i w0 = w.Quad(k, 0), w1 = w.Quad(k, 1);
      for (int t = 0; t < kRows; ++t) {
        const __m512i in = _mm512_set1_epi32(q[k * kRows + t]);
        dot[t][0] = _mm512_dpbusd_epi32(dot[t][0], w0, in);
        dot[t][1] = _mm512_dpbusd_epi32(dot[t][1], w1, in);
      }
    }
    const __m512 d0 = w.Scales(0), d1 = w.Scales(1);
    for (int t = 0; t < kRows; ++t) {
      const __m512 d_x = _mm512_set1_ps(d[t]);
      sum[t][0] = _mm512_fmadd_ps(_mm512_mul_ps(d0, d_x), _mm512_cvtepi32_ps(dot[t][0]), sum[t][0]);
      sum[t][1] = _mm512_fmadd_ps(_mm512_mul_ps(d1, d_x), _mm512_cvtepi32_ps(dot[t][1]), sum[t][1]);
    }
    ahead.FetchBlock();
  }
  for (int t = 0; t < kRows; ++t) {
    for (int i = 0; i < 2; ++i) _mm512_storeu_ps(out + t * stride + i * 16, sum[t][i]);
  }
}

#endif

template <int kRows>
void Interleave(const Int8Row* x, int64_t blocks, std::byte* tile) {
  for (int64_t b = 0; b < blocks; ++b, tile += kRows * (kBlockValues + 8)) {
    for (int t = 0; t < kRows; ++t) {
      for (int k = 0; k < 8; ++k)
        std::memcpy(tile + (k * kRows + t) * 4, x[t].q + b * kBlockValues + k * 4, 4);
      std::memcpy(tile + (8 * kRows + t) * 4, x[t].d + b, 4);
      std::memcpy(tile + (9 * kRows + t) * 4, x[t].offset + b, 4);
    }
  }
}

}  // namespace

void InterleaveInt8(const Int8Row* x, int64_t rows, int64_t blocks, std::byte* tile) {
  WithRows(rows, [&](auto count) { Interleave<count>(x, blocks, tile); });
}

void WriteSums(const float* sums, int64_t parts, int64_t first, int64_t cols, float* y) {
  float row[kStripRows];
  if (parts == 2) {
    for (int64_t n = 0; n < kStripRows; ++n) row[n] = sums[n] + sums[kStripRows + n];
    sums = row;
  }
  if (cols == kStripRows) {
    std::memcpy(y, sums, sizeof row);  // a constant size, which is inlined
  } else {
    std::copy_n(sums + first, cols, y);
  }
}

#ifdef __x86_64__
void MultiplyInt8(const std::byte* tile, int64_t rows, const PackedInt8& w, int64_t blocks,
                  const float* before, float* out, int64_t stride, Ahead& ahead) {
  WithRows(rows, [&](auto count) {
    Multiply<count>(tile, FromPacked{w.bytes, w.stride, w.scales}, blocks, before, out, stride,
                    ahead);
  });
}

void MultiplyStrip(const std::byte* tile, int64_t rows, const Weight& w, int64_t row, float* sums) {
  const int64_t blocks = w.cols() / kBlockValues;
  Ahead none;
  WithRows(rows, [&](auto count) {
    const auto from = [&]<class StripBlock>(StripBlock) {
      Multiply<count>(tile, FromStrip<StripBlock>{StripAt<StripBlock>(w, row)}, blocks, nullptr,
                      sums, kStripRows, none);
    };
    w.format() == WeightFormat::kQ8_0 ? from(StripBlockQ8_0()) : from(StripBlockQ4_0());
  });
}
#else
void MultiplyInt8(const std::byte*, int64_t, const PackedInt8&, int64_t, const float*, float*,
                  int64_t, Ahead&) {}
void MultiplyStrip(const std::byte*, int64_t, const Weight&, int64_t, float*) {}
#endif

}  // namespace retort
