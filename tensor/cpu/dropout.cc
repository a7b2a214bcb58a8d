// SPDX-License-Identifier: Apache-2.0
// Dropout, whose backward pass regenerates the mask instead of storing it, and noise.
#include <cmath>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

// The words of Philox (base/random.h) for one token, computed for kBlocks counters at a time in
// loops that the compiler vectorises.
struct TokenWords {
  static constexpr int kBlocks = 16, kWords = 4 * kBlocks;
  uint32_t token;
  PhiloxKey key;

  // Words 4 block, 4 block + 1, ...
  RETORT_INLINE void Fill(uint32_t block, uint32_t* words) const {
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

  // op(c, word) for every column of a row.
  template <class Op>
  RETORT_INLINE void ForColumns(int64_t cols, const Op& op) const {
    for (int64_t begin = 0; begin < cols; begin += kWords) {
      uint32_t words[kWords];
      Fill(static_cast<uint32_t>(begin / 4), words);
      const int64_t n = std::min<int64_t>(kWords, cols - begin);
      for (int64_t c = 0; c < n; ++c) op(begin + c, words[c]);
    }
  }
};

// y = x * mask (or y +=) for one row.
struct DropoutRow {
  const float* x;
  float* y;
  int64_t cols;
  uint64_t threshold;  // words below it are dropped
  float scale;
  bool add;
  TokenWords words;

  template <int W>
  RETORT_INLINE static void Run(const DropoutRow* row) {
    row->words.ForColumns(row->cols, [row](int64_t c, uint32_t word) {
      const float kept = word >= row->threshold ? row->x[c] * row->scale : 0.0f;
      row->y[c] = row->add ? row->y[c] + kept : kept;
    });
  }
};

struct NoiseRow {
  float* x;
  int64_t cols;
  float amplitude;
  TokenWords words;

  template <int W>
  RETORT_INLINE static void Run(const NoiseRow* row) {
    row->words.ForColumns(row->cols, [row](int64_t c, uint32_t word) {
      row->x[c] += row->amplitude * (static_cast<float>(word) * 0x1p-31f - 1);
    });
  }
};

TokenWords WordsOf(const Tensor& row_index, const Tensor& row_token, uint64_t seed, RandomUse use,
                   int64_t t) {
  return {static_cast<uint32_t>(row_token.data<int32_t>()[t]),
          MakeKey(seed, use, static_cast<uint64_t>(row_index.data<int64_t>()[t]))};
}

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
      const DropoutRow row{
          x.data<float>() + t * cols,
          y.data<float>() + t * cols,
          cols,
          threshold,
          scale,
          add,
          WordsOf(mask.row_index, mask.row_token, mask.seed, RandomUse::kDropout, t)};
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

void CpuBackend::AddNoise(Tensor& x, const UniformNoise& noise) {
  const int64_t rows = x.rows(), cols = x.cols();
  RETORT_CHECK(noise.row_index.elements() == rows && noise.row_token.elements() == rows &&
                   noise.amplitude.elements() == rows,
               "noise for ", noise.row_index.elements(), " of ", rows, " tokens");
  ForRanges(pool_, rows, RowsPerPiece(cols * 4), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const NoiseRow row{
          x.data<float>() + t * cols, cols, noise.amplitude.data<float>()[t],
          WordsOf(noise.row_index, noise.row_token, noise.seed, RandomUse::kNoise, t)};
      CallSimd<NoiseRow>(isa_, &row);
    }
  });
}

}  // namespace retort
