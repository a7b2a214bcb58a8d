// SPDX-License-Identifier: Apache-2.0
// Packing of weights for many tiles: rows are transposed; strips are used in place (Q8_0) or their
// nibbles are expanded to bytes (Q4_0).
#include "tensor/cpu/int8_avx512.h"
#include "tensor/cpu/int8_tile.h"

namespace retort {

#ifdef __x86_64__
namespace {

// Loads 16 bytes of each of 16 rows: 128-bit lane l of v[i] comes from row 4 l + i.
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

// After LoadRows: v[i] becomes the i-th four bytes of all 16 rows in order.
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

// Packs a block of 16 rows into `to` as values + 128.
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
// Expands the nibbles of v (values + 8) to bytes (values + 128): the low ones to `to`, the high
// ones 16 * kStripRows bytes after it.
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

RETORT_INT8_AVX512 inline void StoreScales(const F16* d, float* to) {
  for (int64_t i = 0; i < kStripRows; i += 16) _mm512_store_ps(to + i, LoadScales(d + i));
}

template <class Block>
RETORT_INT8_AVX512 void PackRows(const Weight& w, int64_t row, int64_t first, int64_t blocks,
                                 std::byte* bytes, float* scales) {
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

RETORT_INT8_AVX512 void PackScales(const StripBlockQ8_0* strip, int64_t blocks, float* scales) {
  for (int64_t b = 0; b < blocks; ++b) StoreScales(strip[b].d, scales + b * kStripRows);
}
RETORT_INT8_AVX512 void PackNibbles(const StripBlockQ4_0* strip, int64_t blocks, std::byte* bytes,
                                    float* scales) {
  for (int64_t b = 0; b < blocks; ++b, bytes += kStripRows * kBlockValues) {
    for (int64_t i = 0; i < 4 * kStripRows * 4; i += 64) {
      StoreNibbles(_mm512_load_si512(strip[b].q[0][0] + i), bytes + i);
    }
    StoreScales(strip[b].d, scales + b * kStripRows);
  }
}

}  // namespace

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

#else
PackedInt8 PackInt8(const Weight&, int64_t, int64_t, int64_t, std::byte*) { return {}; }
#endif

}  // namespace retort
