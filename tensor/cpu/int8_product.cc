// SPDX-License-Identifier: Apache-2.0
// Block formats times activations quantised to the same blocks of 32: y = sum over blocks of
// (d_w d_x) times an exact int32 dot product.
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cmath>

#include "tensor/cpu/int8_panels.h"
#include "tensor/cpu/products.h"

namespace retort {
namespace {

void QuantiseRow(const float* x, int64_t cols, int8_t* q, float* d, int32_t* offset) {
  for (int64_t b = 0; b < cols / kBlockValues; ++b, x += kBlockValues, q += kBlockValues) {
    float top = 0;
    for (int i = 0; i < kBlockValues; ++i) top = std::max(top, std::abs(x[i]));
    const float scale = top / 127, inverse = scale >= 0x1p-126f ? 1 / scale : 0.0f;
    d[b] = scale;
    for (int i = 0; i < kBlockValues; ++i) {  // to nearest even, by adding 1.5 * 2^23
      const float shifted = x[i] * inverse + 12582912.0f;
      q[i] = static_cast<int8_t>(std::bit_cast<int32_t>(shifted) - 0x4b400000);
    }
    int32_t sum = 0;
    for (int i = 0; i < kBlockValues; ++i) sum += q[i];
    offset[b] = -128 * sum;
  }
}

// sums[t] = the product of one weight row with `rows` (at most 4) rows of activations.
template <class Block>
void DotsPortable(const Block* w, int64_t blocks, const Int8Row* x, int64_t rows, float* sums) {
  std::fill_n(sums, rows, 0.0f);
  for (int64_t b = 0; b < blocks; ++b) {
    int8_t q[32];
    ExpandBlock(w[b], q);
    const float d = ScaleOf(w[b].d);
    for (int64_t t = 0; t < rows; ++t) {
      const int8_t* in = x[t].q + b * 32;
      int32_t dot = 0;
      for (int i = 0; i < 32; ++i) dot += int32_t{q[i]} * in[i];
      sums[t] += d * x[t].d[b] * static_cast<float>(dot);
    }
  }
}

#ifdef __x86_64__

#define RETORT_INT8_AVX2 [[gnu::target("avx2,fma")]]
#define RETORT_INT8_AVX512 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]]

RETORT_INT8_AVX2 inline __m256i Load32(const BlockQ8_0& block) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.q));
}
RETORT_INT8_AVX2 inline __m256i Load32(const BlockQ4_0& block) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block.q));
  const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(bytes),
                                               _mm_srli_epi16(bytes, 4), 1);
  return _mm256_sub_epi8(_mm256_and_si256(both, _mm256_set1_epi8(15)), _mm256_set1_epi8(8));
}

RETORT_INT8_AVX2 inline float SumLanes(__m256 v) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

// |w| times x with w's sign: the first factor of the byte products must be unsigned. Neighbours
// add up to at most 2 * 128 * 127, which 16 bits hold.
template <class Block, int kRows>
RETORT_INT8_AVX2 void DotsAvx2(const Block* w, int64_t blocks, const Int8Row* x, float* sums) {
  __m256 sum[kRows];
  for (auto& s : sum) s = _mm256_setzero_ps();
  for (int64_t b = 0; b < blocks; ++b) {
    const __m256i q = Load32(w[b]), magnitude = _mm256_abs_epi8(q);
    const float d = ScaleOf(w[b].d);
    for (int t = 0; t < kRows; ++t) {
      const __m256i in = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x[t].q + b * 32));
      const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(in, q));
      const __m256i dots = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
      sum[t] = _mm256_fmadd_ps(_mm256_set1_ps(d * x[t].d[b]), _mm256_cvtepi32_ps(dots), sum[t]);
    }
  }
  for (int t = 0; t < kRows; ++t) sums[t] = SumLanes(sum[t]);
}

// Two blocks at a time.
template <class Block, int kRows>
RETORT_INT8_AVX512 void DotsAvx512(const Block* w, int64_t blocks, const Int8Row* x, float* sums) {
  __m512 sum[kRows];
  for (auto& s : sum) s = _mm512_setzero_ps();
  const __m512i halves = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  for (int64_t b = 0; b < blocks; b += 2) {
    const bool both = b + 1 < blocks;
    const __m256i first = Load32(w[b]), second = both ? Load32(w[b + 1]) : _mm256_setzero_si256();
    const __m512i q = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
    const __m512i magnitude = _mm512_abs_epi8(q);
    const __mmask64 negative = _mm512_movepi8_mask(q);
    const __m128 d = _mm_set_ps(0, 0, both ? ScaleOf(w[b + 1].d) : 0.0f, ScaleOf(w[b].d));
    const __mmask16 live_scales = both ? 3 : 1;
    const __mmask16 live = both ? 0xffff : 0xff;
    for (int t = 0; t < kRows; ++t) {
      const __m512i in = _mm512_maskz_loadu_epi32(live, x[t].q + b * 32);
      const __m512i turned = _mm512_mask_sub_epi8(in, negative, _mm512_setzero_si512(), in);
      const __m512i dots = _mm512_dpbusd_epi32(_mm512_setzero_si512(), magnitude, turned);
      const __m128 scales = _mm_mul_ps(d, _mm_maskz_loadu_ps(live_scales, x[t].d + b));
      const __m512 spread = _mm512_permutexvar_ps(halves, _mm512_castps128_ps512(scales));
      sum[t] = _mm512_fmadd_ps(spread, _mm512_cvtepi32_ps(dots), sum[t]);
    }
  }
  for (int t = 0; t < kRows; ++t) {
    sums[t] = SumLanes(_mm256_add_ps(_mm512_castps512_ps256(sum[t]), _mm512_extractf32x8_ps(sum[t], 1)));
  }
}

#define RETORT_BY_ROWS(kernel)                          \
  switch (rows) {                                       \
    case 1: return kernel<Block, 1>(w, blocks, x, sums); \
    case 2: return kernel<Block, 2>(w, blocks, x, sums); \
    case 3: return kernel<Block, 3>(w, blocks, x, sums); \
    case 4: return kernel<Block, 4>(w, blocks, x, sums); \
  }

#endif

template <class Block>
void Dots(Isa isa, const Block* w, int64_t blocks, const Int8Row* x, int64_t rows, float* sums) {
#ifdef __x86_64__
  if (isa == Isa::kAvx512 && CpuHasVnni()) RETORT_BY_ROWS(DotsAvx512)
  if (isa != Isa::kPortable) RETORT_BY_ROWS(DotsAvx2)
#endif
  DotsPortable(w, blocks, x, rows, sums);
}

template <class Block>
void Forward(ThreadPool& pool, Isa isa, const Int8Row* x, int64_t rows, const Weight& w, float* y) {
  constexpr int64_t kGrain = 32;  // weight rows of a piece: read again for every four tokens
  const int64_t outputs = w.rows(), blocks = w.cols() / kBlockValues;
  const auto* all = reinterpret_cast<const Block*>(w.bytes().data());
  const double operations =
      2.0 * static_cast<double>(rows * w.cols()) * static_cast<double>(outputs);
  ForPieces(pool, operations, CeilDiv(outputs, kGrain), [&](int64_t piece, int) {
    const int64_t end = std::min(outputs, (piece + 1) * kGrain);
    for (int64_t t = 0; t < rows; t += 4) {
      const int64_t few = std::min<int64_t>(4, rows - t);
      for (int64_t o = piece * kGrain; o < end; ++o) {
        float sums[4];
        Dots(isa, all + o * blocks, blocks, x + t, few, sums);
        for (int64_t i = 0; i < few; ++i) y[(t + i) * outputs + o] = sums[i];
      }
    }
  });
}

}  // namespace

bool CpuHasVnni() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

void Int8Forward(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows,
                 const Weight& w, float* y) {
  const int64_t cols = w.cols(), blocks = cols / kBlockValues;
  const Tensor q = Tensor::Make(memory, {rows, cols}, DType::kU8);
  const Tensor d = Tensor::Make(memory, {rows, blocks}, DType::kF32);
  const Tensor offsets = Tensor::Make(memory, {rows, blocks}, DType::kI32);
  std::vector<Int8Row> quantised(static_cast<size_t>(rows));
  ForPieces(pool, 16.0 * static_cast<double>(rows * cols), rows, [&](int64_t t, int) {
    auto* to = reinterpret_cast<int8_t*>(q.raw()) + t * cols;
    float* scales = d.data<float>() + t * blocks;
    int32_t* offset = offsets.data<int32_t>() + t * blocks;
    QuantiseRow(x + t * cols, cols, to, scales, offset);
    quantised[static_cast<size_t>(t)] = {to, scales, offset};
  });
  if (rows >= kInt8PanelRows && isa == Isa::kAvx512 && CpuHasVnni()) {
    return Int8PanelForward(pool, memory, isa, quantised, w, y);
  }
  if (w.format() == WeightFormat::kQ8_0) {
    return Forward<BlockQ8_0>(pool, isa, quantised.data(), rows, w, y);
  }
  Forward<BlockQ4_0>(pool, isa, quantised.data(), rows, w, y);
}

}  // namespace retort
