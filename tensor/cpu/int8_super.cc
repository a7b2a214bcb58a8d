// SPDX-License-Identifier: Apache-2.0
// Blocks of 256 values (BlockFormat::codes) times a few rows of activations quantised in blocks of
// 32. The codes of a few blocks are written to the L1 and multiplied by all rows. A row's results do
// not depend on the other rows.
#include <algorithm>
#include <cstring>

#include "tensor/cpu/int8_rows.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/super_codes.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace retort {
namespace {

constexpr int64_t kChunkBlocks = 8;  // whose codes take 2.8 KB
constexpr int64_t kRowsAtOnce = 16;
constexpr int kSums = 8;  // of a row, to be added at the end

// sums[k] += parts of the product of the blocks with x, whose blocks of 32 from `at` on they are
// multiplied by. x's offset is -128 times the sum of a block.
void SuperDotsPortable(const SuperCodes* w, int64_t blocks, const Int8Row& x, int64_t at,
                       float* sums) {
  for (int64_t b = 0; b < blocks; ++b, ++w) {
    for (int k = 0; k < 8; ++k, ++at) {
      const int8_t* in = x.q + at * 32;
      for (int half = 0; half < 2; ++half) {
        int32_t dot = 0;
        for (int i = 0; i < 16; ++i)
          dot += int32_t{w->code[32 * k + 16 * half + i]} * in[16 * half + i];
        sums[k] += w->scale[2 * k + half] * x.d[at] * static_cast<float>(dot);
      }
      sums[k] += w->minimum[k] * (1.0f / 128) * x.d[at] * static_cast<float>(x.offset[at]);
    }
  }
}

#ifdef __x86_64__

// |w| times (x with w's sign), because the first factor of the byte product must be unsigned: the
// sum of two neighbouring products is at most 2 * 128 * 127, which fits in 16 bits. The 128-bit
// halves of a vector hold the sums of 16 values each.
template <int kRows>
[[gnu::target("avx2,fma")]] void SuperDotsAvx2(const SuperCodes* w, int64_t blocks,
                                               const Int8Row* x, int64_t at, float (*sums)[kSums]) {
  const __m256i ones = _mm256_set1_epi16(1);
  const __m256 part = _mm256_set1_ps(1.0f / 128);
  __m256 sum[kRows];
  for (int t = 0; t < kRows; ++t) sum[t] = _mm256_loadu_ps(sums[t]);
  for (int64_t b = 0; b < blocks; ++b, ++w, at += 8) {
    const __m256 minimum = _mm256_mul_ps(_mm256_loadu_ps(w->minimum), part);
    for (int t = 0; t < kRows; ++t) {
      const __m256i offset = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x[t].offset + at));
      sum[t] = _mm256_fmadd_ps(_mm256_mul_ps(minimum, _mm256_loadu_ps(x[t].d + at)),
                               _mm256_cvtepi32_ps(offset), sum[t]);
    }
    for (int k = 0; k < 8; ++k) {
      const __m256i q = _mm256_load_si256(reinterpret_cast<const __m256i*>(w->code + 32 * k));
      const __m256i magnitude = _mm256_abs_epi8(q);
      const __m256 scale =
          _mm256_set_m128(_mm_set1_ps(w->scale[2 * k + 1]), _mm_set1_ps(w->scale[2 * k]));
      for (int t = 0; t < kRows; ++t) {
        const auto* in = reinterpret_cast<const __m256i*>(x[t].q + (at + k) * 32);
        const __m256i pairs =
            _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(_mm256_loadu_si256(in), q));
        const __m256 dots = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, ones));
        const __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(x[t].d[at + k]));
        sum[t] = _mm256_fmadd_ps(both, dots, sum[t]);
      }
    }
  }
  for (int t = 0; t < kRows; ++t) _mm256_storeu_ps(sums[t], sum[t]);
}

#endif

void SuperDots(Isa isa, const SuperCodes* w, int64_t blocks, const Int8Row* x, int64_t rows,
               int64_t at, float (*sums)[kSums]) {
  int64_t t = 0;
#ifdef __x86_64__
  if (isa != Isa::kPortable) {
    for (; t + 4 <= rows; t += 4) SuperDotsAvx2<4>(w, blocks, x + t, at, sums + t);
    if (t + 2 <= rows) SuperDotsAvx2<2>(w, blocks, x + t, at, sums + t), t += 2;
    if (t < rows) SuperDotsAvx2<1>(w, blocks, x + t, at, sums + t), ++t;
    return;
  }
#endif
  for (; t < rows; ++t) SuperDotsPortable(w, blocks, x[t], at, sums[t]);
}

float Total(const float* sums) {
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

// y[t] = x[t] . row `o` of w, for t < rows <= kRowsAtOnce.
void SuperRow(Isa isa, const Weight& w, int64_t o, const Int8Row* x, int64_t rows, float* y) {
  const int64_t blocks = w.cols() / 256;
  SuperCodes codes[kChunkBlocks];
  float sums[kRowsAtOnce][kSums] = {};
  for (int64_t b = 0; b < blocks; b += kChunkBlocks) {
    const int64_t n = std::min(kChunkBlocks, blocks - b);
    TraitsOf(w.format()).codes(isa, w, o * blocks + b, n, codes);
    SuperDots(isa, codes, n, x, rows, b * 8, sums);
  }
  for (int64_t t = 0; t < rows; ++t) y[t] = Total(sums[t]);
}

// Weight rows of a piece: a few 10 KB.
int64_t SuperGrain(int64_t cols) { return std::clamp<int64_t>((1 << 15) / cols, 4, 64); }

}  // namespace

void SuperForward(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows,
                  std::span<WeightProduct> products) {
  const int64_t cols = products[0].w->cols();
  const Int8Rows quantised(pool, memory, isa, x, rows, cols, products[0].arithmetic.wide);
  const std::span<const Int8Row> in = quantised.rows();
  const int64_t parts = quantised.parts(), count = std::ssize(in);
  ForOutputs(
      pool, count, SuperGrain(cols), products, [&](WeightProduct& p, int64_t begin, int64_t end) {
        float* y = p.y.data<float>();
        for (int64_t first = 0; first < count; first += kRowsAtOnce) {
          const int64_t n = std::min(kRowsAtOnce, count - first);
          for (int64_t o = begin; o < end; ++o) {
            float out[kRowsAtOnce];
            SuperRow(isa, *p.w, o, in.data() + first, n, out);
            for (int64_t t = 0; t < n; t += parts)
              y[(first + t) / parts * p.w->rows() + o] = parts == 1 ? out[t] : out[t] + out[t + 1];
          }
        }
      });
}

}  // namespace retort
