// SPDX-License-Identifier: Apache-2.0
// The inner kernels of CodeTiles. A lane is an output. A tile has of each block the bytes
// [8, rows, 4], then of each row its scale, the sum of its values, and minus the sums of the
// integers of the first and of the second half. A packed block is bytes [8, kStripRows, 4] and a
// CodeScales.
#include <bit>

#include "tensor/cpu/int8_avx512.h"
#include "tensor/cpu/int8_codes.h"
#include "tensor/cpu/int8_codes_pack.h"

namespace retort {
namespace {

constexpr int64_t kRowBlockBytes = kBlockValues + 16;

template <int kRows>
void InterleaveCodes(const Int8Row* x, int64_t blocks, std::byte* tile) {
  for (int64_t b = 0; b < blocks; ++b, tile += kRows * kRowBlockBytes) {
    float of_rows[2][kRows];
    int32_t minus_sums[2][kRows];
    for (int t = 0; t < kRows; ++t) {
      const int8_t* q = x[t].q + b * kBlockValues;
      for (int k = 0; k < 8; ++k) std::memcpy(tile + (k * kRows + t) * 4, q + k * 4, 4);
      for (int half = 0; half < 2; ++half) {
        int32_t sum = 0;
        for (int i = 0; i < 16; ++i) sum += q[half * 16 + i];
        minus_sums[half][t] = -sum;
      }
      of_rows[0][t] = x[t].d[b];
      of_rows[1][t] = x[t].d[b] * static_cast<float>(-minus_sums[0][t] - minus_sums[1][t]);
    }
    std::memcpy(tile + kRows * (kBlockValues + 8), minus_sums, sizeof minus_sums);
    std::memcpy(tile + kRows * kBlockValues, of_rows, sizeof of_rows);
  }
}

#ifdef __x86_64__

// One block of a tile.
template <int kRows>
struct BlockOfTile {
  const int32_t* q;           // [8, kRows]
  const float *scale, *sum;   // [kRows]
  const int32_t* minus_sums;  // [2, kRows]

  explicit BlockOfTile(const std::byte* at)
      : q(reinterpret_cast<const int32_t*>(at)),
        scale(reinterpret_cast<const float*>(q + 8 * kRows)),
        sum(scale + kRows),
        minus_sums(q + 10 * kRows) {}
};

// The code of zero, if minima are that times the scale (BlockFormat::code_bits); else 0.
int ZeroOf(const BlockFormat& format) {
  return format.code_bits == 3 || format.code_bits == 6 ? 1 << (format.code_bits - 1) : 0;
}

// How the 32 values of a block are scaled.
enum class Scaling { kWhole, kHalves, kHalvesAroundZero };

template <int kRows, Scaling kScaling>
struct BlockVnni {
  static constexpr bool kZero = kScaling == Scaling::kHalvesAroundZero;
  BlockOfTile<kRows> x;
  const std::byte* w;
  const CodeScales& of;
  int shift;  // log2 of ZeroOf

  // dot += the products of kQuads times four codes, from quad `first` on, of 32 outputs.
  template <int kQuads>
  RETORT_INT8_AVX512 [[gnu::always_inline]] inline void AddQuads(int first,
                                                                 __m512i (*dot)[2]) const {
    for (int k = first; k < first + kQuads; ++k) {
      const __m512i w0 = _mm512_load_si512(w + k * 128), w1 = _mm512_load_si512(w + k * 128 + 64);
      for (int t = 0; t < kRows; ++t) {
        const __m512i in = _mm512_set1_epi32(x.q[k * kRows + t]);
        dot[t][0] = _mm512_dpbusd_epi32(dot[t][0], w0, in);
        dot[t][1] = _mm512_dpbusd_epi32(dot[t][1], w1, in);
      }
    }
  }
  // sum += the product.
  RETORT_INT8_AVX512 [[gnu::always_inline]] inline void Add(__m512 (*sum)[2]) const {
    if constexpr (kScaling == Scaling::kWhole) {
      __m512i dot[kRows][2];
      for (int t = 0; t < kRows; ++t) dot[t][0] = dot[t][1] = _mm512_setzero_si512();
      AddQuads<8>(0, dot);
      for (int i = 0; i < 2; ++i) {
        const __m512 scale = _mm512_load_ps(of.scale[0] + 16 * i);
        const __m512 minimum = _mm512_load_ps(of.minimum[0] + 16 * i);
        for (int t = 0; t < kRows; ++t) {
          const __m512 by = _mm512_mul_ps(scale, _mm512_set1_ps(x.scale[t]));
          sum[t][i] = _mm512_fmadd_ps(by, _mm512_cvtepi32_ps(dot[t][i]), sum[t][i]);
          sum[t][i] = _mm512_fnmadd_ps(minimum, _mm512_set1_ps(x.sum[t]), sum[t][i]);
        }
      }
    } else {
      AddHalf(0, sum);
      AddHalf(1, sum);
    }
  }
  RETORT_INT8_AVX512 [[gnu::always_inline]] inline void AddHalf(int half, __m512 (*sum)[2]) const {
    __m512i dot[kRows][2];
    for (int t = 0; t < kRows; ++t) {
      const __m512i minus = _mm512_set1_epi32(x.minus_sums[half * kRows + t]);
      dot[t][0] = dot[t][1] =
          kZero ? _mm512_sllv_epi32(minus, _mm512_set1_epi32(shift)) : _mm512_setzero_si512();
    }
    AddQuads<4>(half * 4, dot);
    for (int i = 0; i < 2; ++i) {
      const __m512 scale = _mm512_load_ps(of.scale[half] + 16 * i);
      const __m512 minimum = _mm512_load_ps(of.minimum[half] + 16 * i);
      for (int t = 0; t < kRows; ++t) {
        const __m512 d = _mm512_set1_ps(x.scale[t]), by = _mm512_mul_ps(scale, d);
        sum[t][i] = _mm512_fmadd_ps(by, _mm512_cvtepi32_ps(dot[t][i]), sum[t][i]);
        if constexpr (kZero) continue;
        const __m512i minus = _mm512_set1_epi32(x.minus_sums[half * kRows + t]);
        const __m512 by_sum = _mm512_mul_ps(_mm512_cvtepi32_ps(minus), d);
        sum[t][i] = _mm512_fmadd_ps(minimum, by_sum, sum[t][i]);
      }
    }
  }
};

template <int kRows, Scaling kScaling>
RETORT_INT8_AVX512 void MultiplyVnni(const std::byte* tile, const PackedInt8& w, int64_t blocks,
                                     const float* before, float* out, int64_t stride,
                                     Ahead& ahead) {
  __m512 sum[kRows][2];
  for (int t = 0; t < kRows; ++t) {
    for (int i = 0; i < 2; ++i)
      sum[t][i] = before ? _mm512_load_ps(before + t * kStripRows + i * 16) : _mm512_setzero_ps();
  }
  const int shift = std::countr_zero(static_cast<unsigned>(ZeroOf(*w.format)));
  const std::byte* bytes = w.bytes;
  for (int64_t b = 0; b < blocks; ++b, tile += kRows * kRowBlockBytes, bytes += w.stride) {
    const BlockOfTile<kRows> x(tile);
    BlockVnni<kRows, kScaling>{x, bytes, CodeScalesAt(bytes), shift}.Add(sum);
    ahead.FetchBlock();
  }
  for (int t = 0; t < kRows; ++t) {
    for (int i = 0; i < 2; ++i) _mm512_storeu_ps(out + t * stride + i * 16, sum[t][i]);
  }
}

template <int kRows>
auto VnniKernelOf(const BlockFormat& format) {
  if (format.code_group == 32) return MultiplyVnni<kRows, Scaling::kWhole>;
  return ZeroOf(format) > 0 ? MultiplyVnni<kRows, Scaling::kHalvesAroundZero>
                            : MultiplyVnni<kRows, Scaling::kHalves>;
}

// Of a group of kQuads times four codes of 16 outputs. Codes of 8 bits are integers + 128: their
// products with x are those of the integers, |w| times (x with w's sign). Others are added up in 16
// bits as far as these hold them: for each quad, two products of the largest code with 127.
template <int kRows, int kBits>
struct DotsAvx2 {
  static constexpr int kSpan = kBits == 5 ? 4 : kBits == 6 ? 2 : 1;
  static_assert(kBits == 8 || kSpan * 2 * ((1 << kBits) - 1) * 127 < 1 << 15);

  RETORT_INT8_AVX2 static __m256i Load(const std::byte* at) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(at));
  }
  template <int kQuads>
  RETORT_INT8_AVX2 [[gnu::always_inline]] static inline void Run(const std::byte* w,
                                                                 const int32_t* q,
                                                                 __m256i (*dot)[2]) {
    const __m256i ones = _mm256_set1_epi16(1);
    constexpr int kStep = kSpan < kQuads ? kSpan : kQuads;
    for (int k = 0; k < kQuads; k += kStep) {
      __m256i pairs[kRows][2];
      for (int j = k; j < k + kStep; ++j) {
        __m256i w0 = Load(w + j * 128), w1 = Load(w + j * 128 + 32), a0 = w0, a1 = w1;
        if constexpr (kBits == 8) {
          w0 = _mm256_xor_si256(w0, _mm256_set1_epi8(-128));
          w1 = _mm256_xor_si256(w1, _mm256_set1_epi8(-128));
          a0 = _mm256_abs_epi8(w0);
          a1 = _mm256_abs_epi8(w1);
        }
        for (int t = 0; t < kRows; ++t) {
          const __m256i in = _mm256_set1_epi32(q[j * kRows + t]);
          const bool eight = kBits == 8;
          const __m256i p0 = _mm256_maddubs_epi16(a0, eight ? _mm256_sign_epi8(in, w0) : in);
          const __m256i p1 = _mm256_maddubs_epi16(a1, eight ? _mm256_sign_epi8(in, w1) : in);
          pairs[t][0] = j == k ? p0 : _mm256_add_epi16(pairs[t][0], p0);
          pairs[t][1] = j == k ? p1 : _mm256_add_epi16(pairs[t][1], p1);
        }
      }
      for (int t = 0; t < kRows; ++t) {
        for (int i = 0; i < 2; ++i) {
          const __m256i wide = _mm256_madd_epi16(pairs[t][i], ones);
          dot[t][i] = k == 0 ? wide : _mm256_add_epi32(dot[t][i], wide);
        }
      }
    }
  }
};

// 16 outputs, those from `side` times 16 on.
template <int kRows, int kHalves, int kBits>
RETORT_INT8_AVX2 void MultiplySide(const std::byte* tile, const PackedInt8& w, int64_t blocks,
                                   const float* before, float* out, int64_t stride, int side,
                                   Ahead& ahead) {
  __m256 sum[kRows][2];
  for (int t = 0; t < kRows; ++t) {
    for (int i = 0; i < 2; ++i) {
      const float* at = before + t * kStripRows + side * 16 + i * 8;
      sum[t][i] = before ? _mm256_load_ps(at) : _mm256_setzero_ps();
    }
  }
  const std::byte* bytes = w.bytes;
  for (int64_t b = 0; b < blocks; ++b, tile += kRows * kRowBlockBytes, bytes += w.stride) {
    const BlockOfTile<kRows> x(tile);
    const CodeScales& of = CodeScalesAt(bytes);
    for (int half = 0; half < kHalves; ++half) {
      __m256i dot[kRows][2];
      DotsAvx2<kRows, kBits>::template Run<8 / kHalves>(bytes + half * 512 + side * 64,
                                                        x.q + half * 4 * kRows, dot);
      for (int i = 0; i < 2; ++i) {
        const __m256 scale = _mm256_load_ps(of.scale[half] + side * 16 + i * 8);
        const __m256 minimum = _mm256_load_ps(of.minimum[half] + side * 16 + i * 8);
        for (int t = 0; t < kRows; ++t) {
          const __m256 d = _mm256_set1_ps(x.scale[t]), by = _mm256_mul_ps(scale, d);
          sum[t][i] = _mm256_fmadd_ps(by, _mm256_cvtepi32_ps(dot[t][i]), sum[t][i]);
          if constexpr (kBits == 8) continue;
          if constexpr (kHalves == 1) {
            sum[t][i] = _mm256_fnmadd_ps(minimum, _mm256_set1_ps(x.sum[t]), sum[t][i]);
          } else {
            const __m256i minus = _mm256_set1_epi32(x.minus_sums[half * kRows + t]);
            const __m256 by_sum = _mm256_mul_ps(_mm256_cvtepi32_ps(minus), d);
            sum[t][i] = _mm256_fmadd_ps(minimum, by_sum, sum[t][i]);
          }
        }
      }
    }
    ahead.FetchBlock();
  }
  for (int t = 0; t < kRows; ++t) {
    for (int i = 0; i < 2; ++i) _mm256_storeu_ps(out + t * stride + side * 16 + i * 8, sum[t][i]);
  }
}

template <int kRows, int kHalves, int kBits>
void MultiplyAvx2(const std::byte* tile, const PackedInt8& w, int64_t blocks, const float* before,
                  float* out, int64_t stride, Ahead& ahead) {
  for (int side = 0; side < 2; ++side)
    MultiplySide<kRows, kHalves, kBits>(tile, w, blocks, before, out, stride, side, ahead);
}

// The kernel for a format.
template <int kRows>
auto Avx2KernelOf(const BlockFormat& format) {
  const bool halves = format.code_group == 16;
  if (format.code_bits <= 5) return halves ? MultiplyAvx2<kRows, 2, 5> : MultiplyAvx2<kRows, 1, 5>;
  if (format.code_bits == 6) return MultiplyAvx2<kRows, 2, 6>;
  return MultiplyAvx2<kRows, 1, 8>;
}

#endif

// A tile's sums in the kernel on AVX2: what 16 registers hold.
constexpr int64_t kAvx2TileRows = 4;

bool UsesVnni(Isa isa) { return isa == Isa::kAvx512 && CpuHasVnni(); }

}  // namespace

bool HasCodeTiles(Isa isa) { return isa != Isa::kPortable; }

CodeTiles::CodeTiles(Isa isa, int64_t cols)
    : TileKernel({.tile_rows = UsesVnni(isa) ? kInt8TileRows : kAvx2TileRows,
                  .row_block_bytes = kRowBlockBytes,
                  .packed_bytes = kPackedCodeBytes,
                  .most_blocks = 16,
                  .block_step = cols % 256 == 0 ? 8 : 1}),
      isa_(isa) {}

void CodeTiles::Interleave(const Int8Row* x, int64_t rows, int64_t blocks, std::byte* tile) const {
  WithRows(rows, [&](auto count) { InterleaveCodes<count>(x, blocks, tile); });
}

void CodeTiles::Multiply(const std::byte* tile, int64_t rows, const PackedInt8& w, int64_t blocks,
                         const float* before, float* out, int64_t stride, Ahead& ahead) const {
#ifdef __x86_64__
  const BlockFormat& format = *w.format;
  WithRows(rows, [&](auto count) {
    if (UsesVnni(isa_)) {
      VnniKernelOf<count>(format)(tile, w, blocks, before, out, stride, ahead);
    } else if constexpr (count <= kAvx2TileRows) {
      Avx2KernelOf<count>(format)(tile, w, blocks, before, out, stride, ahead);
    }
  });
#endif
}

}  // namespace retort
