// SPDX-License-Identifier: Apache-2.0
// Weights as small integers (BlockFormat::codes) times a few rows of activations quantised in
// blocks of 32. The codes of a few blocks are written to the L1 and multiplied by all rows. A
// row's results do not depend on the other rows.
#include <algorithm>
#include <cstring>

#include "tensor/cpu/int8_avx512.h"
#include "tensor/cpu/int8_rows.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/super_codes.h"

namespace retort {
namespace {

constexpr int64_t kChunkBlocks = 8;  // whose codes take 3 KB
constexpr int64_t kRowsAtOnce = 16;
constexpr int kSums = 16;  // of a row, to be added at the end

// A row of activations, by groups of 16: their scale, and the sum of their values. With these a
// group's part of a product is
//   scale_w scale_x (dot of code and q) - minimum_w sum_x.
struct SuperRow {
  const int8_t* q;
  const float *scale, *sum;
};

// Of the padding too, whose values are zeros.
void SumGroups(const Int8Row& x, int64_t groups, float* scale, float* sum) {
  for (int64_t g = 0; g < groups; ++g) {
    int32_t total = 0;
    for (int i = 0; i < 16; ++i) total += x.q[16 * g + i];
    scale[g] = x.d[g / 2];
    sum[g] = x.d[g / 2] * static_cast<float>(total);
  }
}

// sums[k] += parts of the product of the blocks with x.
void SuperDotsPortable(const SuperCodes* w, int64_t blocks, SuperRow x, float* sums) {
  for (int64_t b = 0; b < blocks; ++b, ++w, x.q += 256, x.scale += 16, x.sum += 16) {
    for (int g = 0; g < 16; ++g) {
      int32_t dot = 0;
      for (int i = 0; i < 16; ++i) dot += int32_t{w->code[16 * g + i]} * x.q[16 * g + i];
      sums[g] += w->scale[g] * x.scale[g] * static_cast<float>(dot) - w->minimum[g] * x.sum[g];
    }
  }
}

#ifdef __x86_64__

// The 128-bit halves of a vector hold the sums of 16 values each. Codes of 8 bits are integers +
// 128: the products are those of the integers, |w| times (x with w's sign). Two neighbouring
// products are at most 2 * 128 * 127, which fits in 16 bits.
template <int kRows, bool kEightBits>
[[gnu::target("avx2,fma")]] void SuperDotsAvx2(const SuperCodes* w, int64_t blocks,
                                               const SuperRow* x, int64_t at,
                                               float (*sums)[kSums]) {
  const __m256i ones = _mm256_set1_epi16(1);
  const __m256i halves = _mm256_set_epi32(1, 1, 1, 1, 0, 0, 0, 0);
  __m256 sum[kRows][2];
  for (int t = 0; t < kRows; ++t) {
    for (int i = 0; i < 2; ++i) sum[t][i] = _mm256_loadu_ps(sums[t] + 8 * i);
  }
  for (int64_t b = 0; b < blocks; ++b, ++w, at += 16) {
    alignas(32) float scale[kRows][16];
    for (int t = 0; t < kRows; ++t) {
      for (int i = 0; i < 2; ++i) {
        if constexpr (!kEightBits) {
          sum[t][i] = _mm256_fnmadd_ps(_mm256_loadu_ps(w->minimum + 8 * i),
                                       _mm256_loadu_ps(x[t].sum + at + 8 * i), sum[t][i]);
        }
        _mm256_store_ps(scale[t] + 8 * i, _mm256_mul_ps(_mm256_loadu_ps(w->scale + 8 * i),
                                                        _mm256_loadu_ps(x[t].scale + at + 8 * i)));
      }
    }
    for (int k = 0; k < 8; ++k) {
      __m256i q = _mm256_load_si256(reinterpret_cast<const __m256i*>(w->code + 32 * k));
      if constexpr (kEightBits) q = _mm256_xor_si256(q, _mm256_set1_epi8(-128));
      const __m256i magnitude = kEightBits ? _mm256_abs_epi8(q) : q;
      for (int t = 0; t < kRows; ++t) {
        const auto* at_x = reinterpret_cast<const __m256i*>(x[t].q + at * 16 + 32 * k);
        const __m256i in = _mm256_loadu_si256(at_x);
        const __m256i pairs =
            _mm256_maddubs_epi16(magnitude, kEightBits ? _mm256_sign_epi8(in, q) : in);
        const __m256 dots = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, ones));
        const __m256d two = _mm256_broadcast_sd(reinterpret_cast<const double*>(scale[t] + 2 * k));
        const __m256 both = _mm256_permutevar8x32_ps(_mm256_castpd_ps(two), halves);
        sum[t][k % 2] = _mm256_fmadd_ps(both, dots, sum[t][k % 2]);
      }
    }
  }
  for (int t = 0; t < kRows; ++t) {
    for (int i = 0; i < 2; ++i) _mm256_storeu_ps(sums[t] + 8 * i, sum[t][i]);
  }
}

// The same for 64 values at a time; each quarter of a vector holds the sums of 16.
template <int kRows>
RETORT_INT8_AVX512 void SuperDotsVnni(const SuperCodes* w, int64_t blocks, const SuperRow* x,
                                      int64_t at, float (*sums)[kSums]) {
  const __m512i quarters = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  __m512 sum[kRows][2];
  for (int t = 0; t < kRows; ++t) {
    sum[t][0] = _mm512_loadu_ps(sums[t]);
    sum[t][1] = _mm512_setzero_ps();
  }
  for (int64_t b = 0; b < blocks; ++b, ++w, at += 16) {
    __m512 scale[kRows];
    for (int t = 0; t < kRows; ++t) {
      sum[t][0] =
          _mm512_fnmadd_ps(_mm512_loadu_ps(w->minimum), _mm512_loadu_ps(x[t].sum + at), sum[t][0]);
      scale[t] = _mm512_mul_ps(_mm512_load_ps(w->scale), _mm512_loadu_ps(x[t].scale + at));
    }
    __m512i index = quarters;
    for (int k = 0; k < 4; ++k) {
      const __m512i q = _mm512_load_si512(w->code + 64 * k);
      for (int t = 0; t < kRows; ++t) {
        const __m512i in = _mm512_loadu_si512(x[t].q + at * 16 + 64 * k);
        const __m512i dots = _mm512_dpbusd_epi32(_mm512_setzero_si512(), q, in);
        sum[t][k % 2] = _mm512_fmadd_ps(_mm512_permutexvar_ps(index, scale[t]),
                                        _mm512_cvtepi32_ps(dots), sum[t][k % 2]);
      }
      index = _mm512_add_epi32(index, _mm512_set1_epi32(4));
    }
  }
  for (int t = 0; t < kRows; ++t) _mm512_storeu_ps(sums[t], _mm512_add_ps(sum[t][0], sum[t][1]));
}

template <int kRows>
void SuperDotsOf(bool vnni, bool eight_bits, const SuperCodes* w, int64_t blocks, const SuperRow* x,
                 int64_t at, float (*sums)[kSums]) {
  if (vnni) return SuperDotsVnni<kRows>(w, blocks, x, at, sums);
  eight_bits ? SuperDotsAvx2<kRows, true>(w, blocks, x, at, sums)
             : SuperDotsAvx2<kRows, false>(w, blocks, x, at, sums);
}

#endif

// For the groups of x from `at` on; eight_bits: the codes'.
void SuperDots(Isa isa, bool eight_bits, const SuperCodes* w, int64_t blocks, const SuperRow* x,
               int64_t rows, int64_t at, float (*sums)[kSums]) {
#ifdef __x86_64__
  if (isa != Isa::kPortable) {
    const bool vnni = isa == Isa::kAvx512 && CpuHasVnni();
    int64_t t = 0;
    for (; t + 4 <= rows; t += 4) SuperDotsOf<4>(vnni, eight_bits, w, blocks, x + t, at, sums + t);
    if (t + 2 <= rows) {
      SuperDotsOf<2>(vnni, eight_bits, w, blocks, x + t, at, sums + t);
      t += 2;
    }
    if (t < rows) SuperDotsOf<1>(vnni, eight_bits, w, blocks, x + t, at, sums + t);
    return;
  }
#endif
  for (int64_t t = 0; t < rows; ++t) {
    const SuperRow from{x[t].q + 16 * at, x[t].scale + at, x[t].sum + at};
    SuperDotsPortable(w, blocks, from, sums[t]);
  }
}

float TotalOfSums(const float* sums) {
  float total[kSums];
  std::copy_n(sums, kSums, total);
  for (int half = kSums / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) total[i] += total[i + half];
  }
  return total[0];
}

// y[t] = x[t] . row `o` of w, for t < rows <= kRowsAtOnce.
void SuperOutput(Isa isa, const Weight& w, int64_t o, const SuperRow* x, int64_t rows, float* y) {
  const BlockFormat& format = TraitsOf(w.format());
  const int64_t unit = 256 / format.block_elements, row_blocks = w.cols() / format.block_elements;
  SuperCodes codes[kChunkBlocks];
  float sums[kRowsAtOnce][kSums];
  for (int64_t t = 0; t < rows; ++t) std::fill_n(sums[t], kSums, 0.0f);
  for (int64_t b = 0; b * unit < row_blocks; b += kChunkBlocks) {
    const int64_t n = std::min(kChunkBlocks * unit, row_blocks - b * unit);
    format.codes(isa, w, o * row_blocks + b * unit, n, codes);
    SuperDots(isa, format.code_bits == 8, codes, CeilDiv(n, unit), x, rows, 16 * b, sums);
  }
  for (int64_t t = 0; t < rows; ++t) y[t] = TotalOfSums(sums[t]);
}

// Weight rows of a piece: a few 10 KB.
int64_t SuperGrain(int64_t cols) { return std::clamp<int64_t>((1 << 15) / cols, 4, 64); }

}  // namespace

void SuperForward(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows,
                  std::span<WeightProduct> products) {
  const int64_t cols = products[0].w->cols();
  const int64_t groups = RoundUp(cols / kBlockValues, kInt8PaddedBlocks) * 2;
  const Int8Rows quantised(pool, memory, isa, x, rows, cols, products[0].arithmetic.wide);
  const int64_t parts = quantised.parts(), count = std::ssize(quantised.rows());
  const Tensor of_groups = Tensor::Make(memory, {2 * count, groups}, DType::kF32);
  const auto list_bytes = count * static_cast<int64_t>(sizeof(SuperRow));
  const Tensor list = Tensor::Make(memory, {list_bytes}, DType::kU8);
  auto* in = reinterpret_cast<SuperRow*>(list.raw());
  ForPieces(pool, 4.0 * static_cast<double>(count * cols), count, [&](int64_t t, int) {
    float* scale = of_groups.data<float>() + 2 * t * groups;
    const Int8Row& row = quantised.rows()[static_cast<size_t>(t)];
    SumGroups(row, groups, scale, scale + groups);
    in[t] = {row.q, scale, scale + groups};
  });
  ForOutputs(
      pool, count, SuperGrain(cols), products, [&](WeightProduct& p, int64_t begin, int64_t end) {
        float* y = p.y.data<float>();
        for (int64_t first = 0; first < count; first += kRowsAtOnce) {
          const int64_t n = std::min(kRowsAtOnce, count - first);
          for (int64_t o = begin; o < end; ++o) {
            float out[kRowsAtOnce];
            SuperOutput(isa, *p.w, o, in + first, n, out);
            for (int64_t t = 0; t < n; t += parts)
              y[(first + t) / parts * p.w->rows() + o] = parts == 1 ? out[t] : out[t] + out[t + 1];
          }
        }
      });
}

}  // namespace retort
