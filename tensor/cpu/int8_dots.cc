// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/int8_dots.h"

#include <algorithm>
#include <vector>

#include "tensor/cpu/fetch.h"
#include "tensor/cpu/int8_avx512.h"
#include "tensor/quant/strips.h"

namespace retort {
namespace {

// sums[t] = the product of one weight row with kRows rows of activations.
template <class Block, int kRows>
void DotsPortable(const Block* w, int64_t blocks, const Int8Row* x, float* sums) {
  std::fill_n(sums, kRows, 0.0f);
  for (int64_t b = 0; b < blocks; ++b) {
    int8_t q[32];
    ExpandBlock(w[b], q);
    const float d = ScaleOf(w[b].d);
    for (int t = 0; t < kRows; ++t) {
      const int8_t* in = x[t].q + b * 32;
      int32_t dot = 0;
      for (int i = 0; i < 32; ++i) dot += int32_t{q[i]} * in[i];
      sums[t] += d * x[t].d[b] * static_cast<float>(dot);
    }
  }
}

#ifdef __x86_64__

RETORT_INT8_AVX2 inline __m256i Load32(const BlockQ8_0& block) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.q));
}
RETORT_INT8_AVX2 inline __m256i Load32(const BlockQ4_0& block) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block.q));
  const __m256i both =
      _mm256_inserti128_si256(_mm256_castsi128_si256(bytes), _mm_srli_epi16(bytes, 4), 1);
  return _mm256_sub_epi8(_mm256_and_si256(both, _mm256_set1_epi8(15)), _mm256_set1_epi8(8));
}

RETORT_INT8_AVX2 inline float SumLanes(__m256 v) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}
RETORT_INT8_AVX512 inline float SumLanes(__m512 v) {
  return SumLanes(_mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1)));
}

// Computes |w| times (x with w's sign), because the first factor of the byte product instruction
// must be unsigned. The sum of two neighbouring products is at most 2 * 128 * 127, which fits in 16
// bits.
template <class Block, int kRows>
RETORT_INT8_AVX2 void DotsAvx2(const Block* w, int64_t blocks, const Int8Row* x, float* sums) {
  __m256 sum[kRows];
  for (auto& s : sum) s = _mm256_setzero_ps();
  for (int64_t b = 0; b < blocks; ++b) {
    FetchAhead<sizeof(Block)>(w + b);
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

RETORT_INT8_AVX512 inline __m128i LoadPair(const void* two_words) {
  return _mm_loadl_epi64(static_cast<const __m128i*>(two_words));
}

// kWeights weight rows at a time, so that a row of activations is loaded once for all of them; two
// blocks at a time. Bytes are converted to values + 128, because the first factor of the byte
// product instruction must be unsigned; x's offset corrects for that.
template <int kWeights, int kRows>
RETORT_INT8_AVX512 void Rows(const BlockQ8_0* w, int64_t blocks, const Int8Row* x, float* y,
                             int64_t stride) {
  constexpr int64_t kStepBytes = kWeights * 2 * sizeof(BlockQ8_0);
  __m512 sum[kRows][kWeights];
  for (auto& row : sum) {
    for (auto& s : row) s = _mm512_setzero_ps();
  }
  const __m512i flip = _mm512_set1_epi8(-128);
  const __m512i halves = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  Address next = AddressOf(w + kWeights * blocks);  // the rows after these
  for (int64_t b = 0; b < blocks; b += 2) {
    FetchAhead<kStepBytes>(next);
    next += kStepBytes;
    const bool both = b + 1 < blocks;
    __m512i in[kRows], start[kRows];
    __m128 d_x[kRows];
    for (int t = 0; t < kRows; ++t) {
      in[t] = _mm512_loadu_si512(x[t].q + b * 32);
      start[t] = _mm512_maskz_permutexvar_epi32(0x0101, halves,
                                                _mm512_castsi128_si512(LoadPair(x[t].offset + b)));
      d_x[t] = _mm_castsi128_ps(LoadPair(x[t].d + b));
    }
    for (int r = 0; r < kWeights; ++r) {
      const BlockQ8_0* pair = w + r * blocks + b;
      const __m256i second = both ? Load32(pair[1]) : _mm256_setzero_si256();
      const __m512i q = _mm512_xor_si512(
          _mm512_inserti64x4(_mm512_castsi256_si512(Load32(pair[0])), second, 1), flip);
      const int d_bits = pair[0].d.bits | (both ? pair[1].d.bits << 16 : 0);
      const __m128 d = _mm_cvtph_ps(_mm_cvtsi32_si128(d_bits));
      for (int t = 0; t < kRows; ++t) {
        const __m512 pair_scales = _mm512_castps128_ps512(_mm_mul_ps(d, d_x[t]));
        const __m512 scale = _mm512_permutexvar_ps(halves, pair_scales);
        const __m512i dots = _mm512_dpbusd_epi32(start[t], q, in[t]);
        sum[t][r] = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(dots), sum[t][r]);
      }
    }
  }
  for (int t = 0; t < kRows; ++t) {
    for (int r = 0; r < kWeights; ++r) y[t * stride + r] = SumLanes(sum[t][r]);
  }
}

// Shuffle indices for four blocks of Q4_0, which are 36 words of 16 bits: the words of the quants,
// and the words of the scales, each repeated four times. Indices refer to two loads, of words
// 0 ... 31 and 4 ... 35.
struct WordsQ4_0 {
  alignas(64) uint16_t quants[32], scales[32];
  constexpr WordsQ4_0() : quants(), scales() {
    for (int i = 0; i < 32; ++i) {
      const int word = i / 8 * 9 + 1 + i % 8;
      quants[i] = static_cast<uint16_t>(word < 32 ? word : word - 4 + 32);
      scales[i] = static_cast<uint16_t>(i / 4 % 4 * 9);
    }
  }
};
constexpr WordsQ4_0 kWordsQ4_0;

constexpr int64_t kInt8GroupBlocks = 4;

// The same, four blocks at a time; their low nibbles form one vector, their high nibbles another.
// Nibbles are values + 8.
template <int kWeights, int kRows>
RETORT_INT8_AVX512 void Rows(const BlockQ4_0* w, int64_t blocks, const Int8Row* x, float* y,
                             int64_t stride) {
  constexpr int64_t kStepBytes = kWeights * kInt8GroupBlocks * sizeof(BlockQ4_0);
  __m512 sum[kRows][kWeights];
  for (auto& row : sum) {
    for (auto& s : row) s = _mm512_setzero_ps();
  }
  const __m512i quants = _mm512_load_si512(kWordsQ4_0.quants);
  const __m512i scales = _mm512_load_si512(kWordsQ4_0.scales);
  const __m512i low = _mm512_set1_epi8(15);
  const __m512i spread = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  Address next = AddressOf(w + kWeights * blocks);  // the rows after these
  for (int64_t b = 0; b < blocks; b += kInt8GroupBlocks) {
    FetchAhead<kStepBytes>(next);
    next += kStepBytes;
    const int64_t words = std::min(kInt8GroupBlocks, blocks - b) * 9;
    const bool whole = words == 36;
    const __mmask32 live = (uint64_t{1} << std::min<int64_t>(words, 32)) - 1;
    const __mmask32 live_later = (uint64_t{1} << std::max<int64_t>(words - 4, 0)) - 1;
    __m512i lows[kRows], highs[kRows], start[kRows];
    __m512 d_x[kRows];
    for (int t = 0; t < kRows; ++t) {
      const __m512i x0 = _mm512_loadu_si512(x[t].q + b * 32);
      const __m512i x1 = _mm512_loadu_si512(x[t].q + b * 32 + 64);
      lows[t] = _mm512_shuffle_i32x4(x0, x1, 0x88);
      highs[t] = _mm512_shuffle_i32x4(x0, x1, 0xdd);
      const __m128i offset = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x[t].offset + b));
      // Offsets for values + 8 instead of + 128.
      start[t] = _mm512_maskz_broadcast_i32x4(0x8421, _mm_srai_epi32(offset, 4));
      d_x[t] = _mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_loadu_ps(x[t].d + b)), spread);
    }
    for (int r = 0; r < kWeights; ++r) {
      const auto* words_at = reinterpret_cast<const char*>(w + r * blocks + b);
      const __m512i first =
          whole ? _mm512_loadu_si512(words_at) : _mm512_maskz_loadu_epi16(live, words_at);
      const __m512i later = whole ? _mm512_loadu_si512(words_at + 8)
                                  : _mm512_maskz_loadu_epi16(live_later, words_at + 8);
      const __m512 d =
          _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_permutexvar_epi16(scales, first)));
      const __m512i q = _mm512_permutex2var_epi16(first, quants, later);
      const __m512i q_low = _mm512_and_si512(q, low);
      const __m512i q_high = _mm512_and_si512(_mm512_srli_epi16(q, 4), low);
      for (int t = 0; t < kRows; ++t) {
        __m512i dots = _mm512_dpbusd_epi32(start[t], q_low, lows[t]);
        dots = _mm512_dpbusd_epi32(dots, q_high, highs[t]);
        sum[t][r] = _mm512_fmadd_ps(_mm512_mul_ps(d, d_x[t]), _mm512_cvtepi32_ps(dots), sum[t][r]);
      }
    }
  }
  for (int t = 0; t < kRows; ++t) {
    for (int r = 0; r < kWeights; ++r) y[t * stride + r] = SumLanes(sum[t][r]);
  }
}

template <class Block, int kRows>
RETORT_INT8_AVX512 void DotsAvx512(const Block* w, int64_t blocks, int64_t count, const Int8Row* x,
                                   float* y, int64_t stride) {
  constexpr int kSide = kRows <= 2 ? 4 : 2;
  int64_t o = 0;
  for (; o + kSide <= count; o += kSide) {
    Rows<kSide, kRows>(w + o * blocks, blocks, x, y + o, stride);
  }
  for (; o < count; ++o) Rows<1, kRows>(w + o * blocks, blocks, x, y + o, stride);
}

#endif

template <class Block, int kRows>
void Dots(Isa isa, const Weight& w, int64_t begin, int64_t end, const Int8Row* x, float* y,
          int64_t stride) {
  const int64_t blocks = w.cols() / kBlockValues;
  const bool in_strips = w.layout() == WeightLayout::kStrips;
  const Block* rows = reinterpret_cast<const Block*>(w.bytes().data());
  auto* dots = DotsPortable<Block, kRows>;
#ifdef __x86_64__
  if (isa == Isa::kAvx512 && CpuHasVnni() && !in_strips) {
    return DotsAvx512<Block, kRows>(rows + begin * blocks, blocks, end - begin, x, y, stride);
  }
  if (isa != Isa::kPortable) dots = DotsAvx2<Block, kRows>;
#endif
  std::vector<Block> gathered(static_cast<size_t>(in_strips ? blocks : 0));
  for (int64_t o = begin; o < end; ++o) {
    for (size_t b = 0; b < gathered.size(); ++b)
      gathered[b] = BlockOf<Block>(w, o, static_cast<int64_t>(b));
    float sums[kRows];
    dots(in_strips ? gathered.data() : rows + o * blocks, blocks, x, sums);
    for (int t = 0; t < kRows; ++t) y[t * stride + o - begin] = sums[t];
  }
}

template <class Block>
void DotsOfRows(Isa isa, const Weight& w, int64_t begin, int64_t end, const Int8Row* x,
                int64_t rows, float* y, int64_t stride) {
  switch (rows) {
    case 1:
      return Dots<Block, 1>(isa, w, begin, end, x, y, stride);
    case 2:
      return Dots<Block, 2>(isa, w, begin, end, x, y, stride);
    case 3:
      return Dots<Block, 3>(isa, w, begin, end, x, y, stride);
    case 4:
      return Dots<Block, 4>(isa, w, begin, end, x, y, stride);
  }
}

}  // namespace

bool CpuHasVnni() {
#ifdef __x86_64__
  return HostIsa() == Isa::kAvx512 && __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

void Int8Dots(Isa isa, const Weight& w, int64_t begin, int64_t end, const Int8Row* x, int64_t rows,
              float* y, int64_t stride) {
  if (w.format() == WeightFormat::kQ8_0) {
    return DotsOfRows<BlockQ8_0>(isa, w, begin, end, x, rows, y, stride);
  }
  DotsOfRows<BlockQ4_0>(isa, w, begin, end, x, rows, y, stride);
}

}  // namespace retort
