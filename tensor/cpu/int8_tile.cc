// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/int8_tile.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "tensor/cpu/fetch.h"

namespace retort {
namespace {

#ifdef __x86_64__

#define RETORT_INT8_AVX512 \
  [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c,prfchw")]]

// 16 bytes of 16 rows: lane l of v[i] is row 4 l + i's.
RETORT_INT8_AVX512 inline void LoadRows(const std::byte* at, int64_t row_bytes, __m512i* v) {
  const auto part = [&](int64_t row) __attribute__((target("avx512f"), always_inline)) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + row * row_bytes));
  };
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm512_castsi128_si512(part(i));
    v[i] = _mm512_mask_broadcast_i32x4(v[i], 0x00f0, part(i + 4));
    v[i] = _mm512_mask_broadcast_i32x4(v[i], 0x0f00, part(i + 8));
    v[i] = _mm512_mask_broadcast_i32x4(v[i], 0xf000, part(i + 12));
  }
}

// Then v[i] becomes the i-th four bytes of all 16 rows in order.
RETORT_INT8_AVX512 inline void Transpose(__m512i* v) {
  const __m512i low01 = _mm512_unpacklo_epi32(v[0], v[1]);
  const __m512i high01 = _mm512_unpackhi_epi32(v[0], v[1]);
  const __m512i low23 = _mm512_unpacklo_epi32(v[2], v[3]);
  const __m512i high23 = _mm512_unpackhi_epi32(v[2], v[3]);
  v[0] = _mm512_unpacklo_epi64(low01, low23);
  v[1] = _mm512_unpackhi_epi64(low01, low23);
  v[2] = _mm512_unpacklo_epi64(high01, high23);
  v[3] = _mm512_unpackhi_epi64(high01, high23);
}

// A block of 16 rows into `to`, raised by 128.
RETORT_INT8_AVX512 inline void PackBlock(const BlockQ8_0* block, int64_t row_bytes, std::byte* to) {
  const __m512i flip = _mm512_set1_epi8(-128);
  for (int half = 0; half < 2; ++half) {
    __m512i v[4];
    LoadRows(reinterpret_cast<const std::byte*>(block->q) + half * 16, row_bytes, v);
    Transpose(v);
    for (int i = 0; i < 4; ++i)
      _mm512_store_si512(to + (half * 4 + i) * kStripRows * 4, _mm512_xor_si512(v[i], flip));
  }
}
// The two nibbles of each byte of v, raised from 8 to 128, four rows of bytes apart.
RETORT_INT8_AVX512 inline void StoreNibbles(__m512i v, std::byte* to) {
  const __m512i low = _mm512_set1_epi8(15), raise = _mm512_set1_epi8(120);
  const __m512i high = _mm512_srli_epi16(v, 4);
  _mm512_store_si512(to, _mm512_add_epi8(_mm512_and_si512(v, low), raise));
  _mm512_store_si512(to + 4 * kStripRows * 4, _mm512_add_epi8(_mm512_and_si512(high, low), raise));
}
RETORT_INT8_AVX512 inline void PackBlock(const BlockQ4_0* block, int64_t row_bytes, std::byte* to) {
  __m512i v[4];
  LoadRows(reinterpret_cast<const std::byte*>(block->q), row_bytes, v);
  Transpose(v);
  for (int i = 0; i < 4; ++i) StoreNibbles(v[i], to + i * kStripRows * 4);
}

RETORT_INT8_AVX512 inline __m512 ScalesAt(const F16* d) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(d)));
}
RETORT_INT8_AVX512 inline void StoreScales(const F16* d, float* to) {
  for (int64_t i = 0; i < kStripRows; i += 16) _mm512_store_ps(to + i, ScalesAt(d + i));
}

template <class Block>
RETORT_INT8_AVX512 void PackRows(const Weight& w, int64_t row, int64_t first, int64_t blocks, std::byte* bytes,
                                 float* scales) {
  const int64_t row_blocks = w.cols() / kBlockValues, row_bytes = row_blocks * sizeof(Block);
  const auto* all = reinterpret_cast<const Block*>(w.bytes().data()) + row * row_blocks + first;
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t top = 0; top < kStripRows; top += 16) {
      PackBlock(all + top * row_blocks + b, row_bytes, bytes + (b * 8 * kStripRows + top) * 4);
    }
    F16 d[kStripRows];
    for (int64_t r = 0; r < kStripRows; ++r) d[r] = all[r * row_blocks + b].d;
    StoreScales(d, scales + b * kStripRows);
  }
}

template <class StripBlock>
const StripBlock* StripAt(const Weight& w, int64_t row) {
  return reinterpret_cast<const StripBlock*>(w.bytes().data()) + row / kStripRows * (w.cols() / kBlockValues);
}
RETORT_INT8_AVX512 void PackScales(const StripBlockQ8_0* strip, int64_t blocks, float* scales) {
  for (int64_t b = 0; b < blocks; ++b) StoreScales(strip[b].d, scales + b * kStripRows);
}
RETORT_INT8_AVX512 void PackNibbles(const StripBlockQ4_0* strip, int64_t blocks, std::byte* bytes, float* scales) {
  for (int64_t b = 0; b < blocks; ++b, bytes += kStripRows * kBlockValues) {
    for (int64_t i = 0; i < 4 * kStripRows * 4; i += 64) {
      StoreNibbles(_mm512_load_si512(strip[b].q[0][0] + i), bytes + i);
    }
    StoreScales(strip[b].d, scales + b * kStripRows);
  }
}

// Where a product takes a block of weights from: Quad(k, half) is four bytes of each of 16 outputs, values + 128 or,
// where kOffsetShift is 4, + 8.
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
  RETORT_INT8_AVX512 __m512 Scales(int half) const { return ScalesAt(block->d + half * 16); }
  void Next() {
    FetchAhead<sizeof(StripBlock)>(block);
    ++block;
  }
};

template <int kRows, class From>
RETORT_INT8_AVX512 void Multiply(const std::byte* tile, From w, int64_t blocks, const float* before, float* out,
                                 int64_t stride, Ahead& ahead) {
  for (int t = 0; t < kRows; ++t) {
    __builtin_prefetch(out + t * stride, 1, 3);
    __builtin_prefetch(out + t * stride + 16, 1, 3);
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
    if (ahead.at < ahead.end) {
      for (int64_t line = 0; line < ahead.lines; ++line, ahead.at += 64)
        _mm_prefetch(ahead.at, _MM_HINT_T1);
    }
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

// body(rows as a constant)
template <class Body>
void WithRows(int64_t rows, const Body& body) {
  switch (rows) {
    case 1: return body(std::integral_constant<int, 1>());
    case 2: return body(std::integral_constant<int, 2>());
    case 3: return body(std::integral_constant<int, 3>());
    case 4: return body(std::integral_constant<int, 4>());
    case 5: return body(std::integral_constant<int, 5>());
    case 6: return body(std::integral_constant<int, 6>());
  }
  RETORT_CHECK(false, rows, " rows of a tile");
}

}  // namespace

void InterleaveInt8(const Int8Row* x, int64_t rows, int64_t blocks, std::byte* tile) {
  WithRows(rows, [&](auto count) { Interleave<count>(x, blocks, tile); });
}

#ifdef __x86_64__
PackedInt8 PackInt8(const Weight& w, int64_t row, int64_t first, int64_t blocks, std::byte* room) {
  float* scales = reinterpret_cast<float*>(room + blocks * kStripRows * kBlockValues);
  const bool in_strips = w.layout() == WeightLayout::kStrips;
  if (w.format() == WeightFormat::kQ8_0) {
    if (in_strips) {
      const StripBlockQ8_0* strip = StripAt<StripBlockQ8_0>(w, row) + first;
      PackScales(strip, blocks, scales);
      return {reinterpret_cast<const std::byte*>(strip), sizeof *strip, scales};
    }
    PackRows<BlockQ8_0>(w, row, first, blocks, room, scales);
  } else if (in_strips) {
    PackNibbles(StripAt<StripBlockQ4_0>(w, row) + first, blocks, room, scales);
  } else {
    PackRows<BlockQ4_0>(w, row, first, blocks, room, scales);
  }
  return {room, kStripRows * kBlockValues, scales};
}

void MultiplyInt8(const std::byte* tile, int64_t rows, const PackedInt8& w, int64_t blocks, const float* before,
                  float* out, int64_t stride, Ahead& ahead) {
  WithRows(rows, [&](auto count) {
    Multiply<count>(tile, FromPacked{w.bytes, w.stride, w.scales}, blocks, before, out, stride, ahead);
  });
}

void MultiplyStrip(const std::byte* tile, int64_t rows, const Weight& w, int64_t row, float* sums) {
  const int64_t blocks = w.cols() / kBlockValues;
  Ahead none{nullptr, nullptr, 0};
  WithRows(rows, [&](auto count) {
    const auto from = [&]<class StripBlock>(StripBlock) {
      Multiply<count>(tile, FromStrip<StripBlock>{StripAt<StripBlock>(w, row)}, blocks, nullptr, sums, kStripRows, none);
    };
    w.format() == WeightFormat::kQ8_0 ? from(StripBlockQ8_0()) : from(StripBlockQ4_0());
  });
}
#else
PackedInt8 PackInt8(const Weight&, int64_t, int64_t, int64_t, std::byte*) { return {}; }
void MultiplyInt8(const std::byte*, int64_t, const PackedInt8&, int64_t, const float*, float*, int64_t, Ahead&) {}
void MultiplyStrip(const std::byte*, int64_t, const Weight&, int64_t, float*) {}
#endif

}  // namespace retort
