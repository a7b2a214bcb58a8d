// SPDX-License-Identifier: Apache-2.0
// Dropout. The backward pass regenerates the mask instead of storing it.
#include <cmath>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

// y = x * mask (or y +=) for one row. The words of Philox (base/random.h) are computed for kBlocks
// counters at a time, in loops that the compiler vectorises.
struct DropoutRow {
  static constexpr int kBlocks = 16;  // of four words
  const float* x;
  float* y;
  int64_t cols;
  uint64_t threshold;  // words below it are dropped
  float scale;
  bool add;
  uint32_t token;
  PhiloxKey key;

  RETORT_INLINE void Words(uint32_t block, uint32_t* words) const {
    uint32_t c0[kBlocks], c1[kBlocks], c2[kBlocks], c3[kBlocks];
    for (uint32_t i = 0; i < kBlocks; ++i) c0[i] = token, c1[i] = block + i, c2[i] = c3[i] = 0;
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; ++round) {
      for (int i = 0; i < kBlocks; ++i) {
        const uint64_t p0 = uint64_t{0xD2511F53} * c0[i], p1 = uint64_t{0xCD9E8D57} * c2[i];
        c0[i] = static_cast<uint32_t>(p1 >> 32) ^ c1[i] ^ k0;
        c2[i] = static_cast<uint32_t>(p0 >> 32) ^ c3[i] ^ k1;
        c1[i] = static_cast<uint32_t>(p1);
        c3[i] = static_cast<uint32_t>(p0);
      }
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    for (int i = 0; i < kBlocks; ++i) {
      words[4 * i] = c0[i], words[4 * i + 1] = c1[i], words[4 * i + 2] = c2[i],
                words[4 * i + 3] = c3[i];
    }
  }

  template <int W>
  RETORT_INLINE static void Run(const DropoutRow* row) {
    for (int64_t begin = 0; begin < row->cols; begin += 4 * kBlocks) {
      uint32_t words[4 * kBlocks];
      row->Words(static_cast<uint32_t>(begin / 4), words);
      const int64_t n = std::min<int64_t>(4 * kBlocks, row->cols - begin);
      const float* x = row->x + begin;
      float* y = row->y + begin;
      for (int64_t c = 0; c < n; ++c) {
        const float kept = words[c] >= row->threshold ? x[c] * row->scale : 0.0f;
        y[c] = row->add ? y[c] + kept : kept;
      }
    }
  }
};

void DropRows(ThreadPool& pool, Isa isa, const Tensor& x, const DropoutMask& mask, bool add,
              Tensor& y) {
  const int64_t rows = x.rows(), cols = x.cols();
  RETORT_CHECK(y.elements() == x.elements());
  RETORT_CHECK(mask.row_index.elements() == rows && mask.row_token.elements() == rows, "mask for ",
               rows, " tokens");
  RETORT_CHECK(mask.rate >= 0 && mask.rate < 1, "dropout ", mask.rate);
  const auto threshold = static_cast<uint64_t>(std::ceil(static_cast<double>(mask.rate) * 0x1p32));
  const float scale = static_cast<float>(1 / (1 - static_cast<double>(mask.rate)));
  ForRanges(pool, rows, RowsPerPiece(cols * 4), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const DropoutRow row{x.data<float>() + t * cols,
                           y.data<float>() + t * cols,
                           cols,
                           threshold,
                           scale,
                           add,
                           static_cast<uint32_t>(mask.row_token.data<int32_t>()[t]),
                           MakeKey(mask.seed, RandomUse::kDropout,
                                   static_cast<uint64_t>(mask.row_index.data<int64_t>()[t]))};
      CallSimd<DropoutRow>(isa, &row);
    }
  });
}

}  // namespace

void CpuBackend::Dropout(const Tensor& x, const DropoutMask& mask, Tensor& y) {
  DropRows(pool_, isa_, x, mask, false, y);
}

void CpuBackend::DropoutGrad(const Tensor& dy, const DropoutMask& mask, Tensor& dx) {
  DropRows(pool_, isa_, dy, mask, true, dx);
}

}  // namespace retort
