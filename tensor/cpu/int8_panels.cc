// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/int8_panels.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>

#include "tensor/cpu/products.h"

namespace retort {
namespace {

constexpr int64_t kChunkBlocks = 64;  // of a panel that are packed at a time
constexpr int64_t kStrip = kChunkBlocks * kBlockValues;
constexpr int64_t kTileRows = 16;

// 64 weight rows, some blocks long. Bytes are values + 128, as the byte products want their first
// factor unsigned: value (k, n) lies at (k / 4 * 64 + n) * 4 + k % 4. Rows beyond the weight's are
// zero.
struct Int8Panel {
  alignas(64) std::byte bytes[kStrip * kPanel];
  alignas(64) float scales[kChunkBlocks * kPanel];
  alignas(64) int8_t strips[kTileRows * kStrip];
  alignas(64) float sums[4 * kPanel];
};

#ifdef __x86_64__

#define RETORT_INT8_AVX512 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]]

// A block's values + 128.
RETORT_INT8_AVX512 inline __m256i Raised(const BlockQ8_0& block) {
  const __m256i q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.q));
  return _mm256_xor_si256(q, _mm256_set1_epi8(-128));
}
RETORT_INT8_AVX512 inline __m256i Raised(const BlockQ4_0& block) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block.q));
  const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(bytes),
                                               _mm_srli_epi16(bytes, 4), 1);
  return _mm256_add_epi8(_mm256_and_si256(both, _mm256_set1_epi8(15)), _mm256_set1_epi8(120));
}

// One row's bytes into a strip, its scales kPanel apart.
template <class Block>
RETORT_INT8_AVX512 void Raise(const Block* row, int64_t blocks, int8_t* strip, float* scales) {
  for (int64_t b = 0; b < blocks; ++b) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(strip + b * kBlockValues), Raised(row[b]));
    scales[b * kPanel] = _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(row[b].d.bits)));
  }
}

template <class Block>
void Pack(Isa isa, const Weight& w, int64_t panel, int64_t first, int64_t blocks, Int8Panel& out) {
  const auto* all = reinterpret_cast<const Block*>(w.bytes().data());
  const int64_t row_blocks = w.cols() / kBlockValues;
  const int64_t words = RoundUp(blocks * kBlockValues / 4, 16);
  for (int64_t top = 0; top < kPanel; top += kTileRows) {
    for (int64_t r = 0; r < kTileRows; ++r) {
      const int64_t row = panel * kPanel + top + r;
      int8_t* strip = out.strips + r * words * 4;
      float* scales = out.scales + top + r;
      if (row < w.rows()) {
        Raise(all + row * row_blocks + first, blocks, strip, scales);
        continue;
      }
      std::fill_n(strip, blocks * kBlockValues, int8_t{-128});
      for (int64_t b = 0; b < blocks; ++b) scales[b * kPanel] = 0;
    }
    TransposeWords(isa, reinterpret_cast<const std::byte*>(out.strips), words, words,
                   out.bytes + top * 4);
  }
}

// panel.sums[t] = the product of row t, from block `first` on, with the panel.
template <int kRows>
RETORT_INT8_AVX512 void Multiply(const Int8Row* x, int64_t first, int64_t blocks,
                                 Int8Panel& panel) {
  for (int64_t half = 0; half < kPanel; half += 32) {
    __m512 sum[kRows][2];
    for (auto& s : sum) s[0] = s[1] = _mm512_setzero_ps();
    for (int64_t b = 0; b < blocks; ++b) {
      __m512i dot[kRows][2];
      for (int t = 0; t < kRows; ++t)
        dot[t][0] = dot[t][1] = _mm512_set1_epi32(x[t].offset[first + b]);
      const std::byte* bytes = panel.bytes + (b * 8 * kPanel + half) * 4;
      for (int64_t k = 0; k < 8; ++k, bytes += kPanel * 4) {
        const __m512i w0 = _mm512_load_si512(bytes), w1 = _mm512_load_si512(bytes + 64);
        for (int t = 0; t < kRows; ++t) {
          int32_t four;
          std::memcpy(&four, x[t].q + (first + b) * kBlockValues + k * 4, sizeof four);
          const __m512i in = _mm512_set1_epi32(four);
          dot[t][0] = _mm512_dpbusd_epi32(dot[t][0], w0, in);
          dot[t][1] = _mm512_dpbusd_epi32(dot[t][1], w1, in);
        }
      }
      const float* scales = panel.scales + b * kPanel + half;
      for (int t = 0; t < kRows; ++t) {
        const __m512 d = _mm512_set1_ps(x[t].d[first + b]);
        for (int i = 0; i < 2; ++i) {
          const __m512 scale = _mm512_mul_ps(_mm512_load_ps(scales + i * 16), d);
          sum[t][i] = _mm512_fmadd_ps(scale, _mm512_cvtepi32_ps(dot[t][i]), sum[t][i]);
        }
      }
    }
    for (int t = 0; t < kRows; ++t) {
      for (int i = 0; i < 2; ++i)
        _mm512_store_ps(panel.sums + t * kPanel + half + i * 16, sum[t][i]);
    }
  }
}

void MultiplyRows(const Int8Row* x, int64_t rows, int64_t first, int64_t blocks, Int8Panel& panel) {
  switch (rows) {
    case 1:
      return Multiply<1>(x, first, blocks, panel);
    case 2:
      return Multiply<2>(x, first, blocks, panel);
    case 3:
      return Multiply<3>(x, first, blocks, panel);
    case 4:
      return Multiply<4>(x, first, blocks, panel);
  }
}

#else
template <class Block>
void Pack(Isa, const Weight&, int64_t, int64_t, int64_t, Int8Panel&) {}
void MultiplyRows(const Int8Row*, int64_t, int64_t, int64_t, Int8Panel&) {}
#endif

}  // namespace

void Int8PanelForward(ThreadPool& pool, Memory& memory, Isa isa, std::span<const Int8Row> x,
                      const Weight& w, float* y) {
  RETORT_CHECK(CpuHasVnni());
  const int64_t rows = std::ssize(x), outputs = w.rows(), blocks = w.cols() / kBlockValues;
  constexpr int64_t kRoom = RoundUp(sizeof(Int8Panel), 64);
  const Tensor room = Tensor::Make(memory, {pool.threads(), kRoom}, DType::kU8);
  const double operations =
      2.0 * static_cast<double>(rows * w.cols()) * static_cast<double>(outputs);
  ForPieces(pool, operations, CeilDiv(outputs, kPanel), [&](int64_t piece, int worker) {
    auto& panel = *reinterpret_cast<Int8Panel*>(room.raw() + worker * kRoom);
    const int64_t col = piece * kPanel, cols = std::min(kPanel, outputs - col);
    for (int64_t first = 0; first < blocks; first += kChunkBlocks) {
      const int64_t count = std::min(kChunkBlocks, blocks - first);
      if (w.format() == WeightFormat::kQ8_0) {
        Pack<BlockQ8_0>(isa, w, piece, first, count, panel);
      } else {
        Pack<BlockQ4_0>(isa, w, piece, first, count, panel);
      }
      for (int64_t t = 0; t < rows; t += 4) {
        const int64_t few = std::min<int64_t>(4, rows - t);
        MultiplyRows(x.data() + t, few, first, count, panel);
        for (int64_t i = 0; i < few; ++i) {
          float* out = y + (t + i) * outputs + col;
          const float* sums = panel.sums + i * kPanel;
          if (first == 0) {
            std::copy_n(sums, cols, out);
          } else {
            for (int64_t c = 0; c < cols; ++c) out[c] += sums[c];
          }
        }
      }
    }
  });
}

}  // namespace retort
