// SPDX-License-Identifier: Apache-2.0
// bf16 products with AVX512_BF16's instruction, which adds the products of pairs to 16 sums.
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <algorithm>

#include "tensor/backend.h"
#include "tensor/cpu/block_gemm.h"

namespace retort {
namespace {

#ifdef __x86_64__

#define RETORT_BF16 [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]]

constexpr int kVectors = kPanel / 16;

// kRows rows, `pairs` pairs deep.
template <int kRows>
RETORT_BF16 void Block(const int32_t* a, int64_t a_row, const int32_t* b, int64_t pairs, float* out,
                       int64_t out_row, bool add) {
  __m512 sum[kRows][kVectors];
  for (auto& row : sum) {
    for (auto& s : row) s = _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < pairs; ++k, b += kPanel) {
    __m512i right[kVectors];
    for (int j = 0; j < kVectors; ++j) right[j] = _mm512_loadu_si512(b + j * 16);
    for (int i = 0; i < kRows; ++i) {
      const __m512i left = _mm512_set1_epi32(a[i * a_row + k]);
      for (int j = 0; j < kVectors; ++j) {
        sum[i][j] = _mm512_dpbf16_ps(sum[i][j], (__m512bh)right[j], (__m512bh)left);
      }
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kVectors; ++j) {
      float* to = out + i * out_row + j * 16;
      _mm512_storeu_ps(to, add ? _mm512_add_ps(_mm512_loadu_ps(to), sum[i][j]) : sum[i][j]);
    }
  }
}

template <int kRows>
void Rows(const int32_t* a, int64_t a_row, const int32_t* b, int64_t rows, int64_t pairs,
          float* out, int64_t out_row, bool add) {
  int64_t t = 0;
  for (; t + kRows <= rows; t += kRows) {
    Block<kRows>(a + t * a_row, a_row, b, pairs, out + t * out_row, out_row, add);
  }
  if constexpr (kRows > 1) {
    Rows<kRows / 2>(a + t * a_row, a_row, b, rows - t, pairs, out + t * out_row, out_row, add);
  }
}

class BF16Gemm : public BlockGemm {
 public:
  DType type() const override { return DType::kBF16; }
  int64_t depth_step() const override { return 2; }

  void Multiply(int, const BlockProduct& p) override {
    const auto* a = reinterpret_cast<const int32_t*>(p.a);
    const auto* b = reinterpret_cast<const int32_t*>(p.b);
    const int64_t pairs = p.depth / 2, a_row = p.a_row / 2;
    if (p.cols == kPanel) {
      return Rows<6>(a, a_row, b, p.rows, pairs, p.out, p.out_row, p.add);
    }
    alignas(64) float block[kTailRows * kPanel];
    for (int64_t t = 0; t < p.rows; t += kTailRows) {
      const int64_t rows = std::min(kTailRows, p.rows - t);
      Rows<6>(a + t * a_row, a_row, b, rows, pairs, block, kPanel, false);
      StoreBlock(block, p, t, rows);
    }
  }
};

#endif

}  // namespace

std::unique_ptr<BlockGemm> MakeBF16Gemm() {
#ifdef __x86_64__
  if (CpuHasBf16()) return std::make_unique<BF16Gemm>();
#endif
  return nullptr;
}

}  // namespace retort
