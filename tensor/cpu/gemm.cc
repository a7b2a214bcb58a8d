// SPDX-License-Identifier: Apache-2.0
// Dense products in f32. The method depends on which factor is transposed:
//   a b^T and a b   the same panels as for weights, made from b
//   a^T b           a sum over tokens; neither factor is packed
#include <algorithm>
#include <vector>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/products.h"
#include "tensor/cpu/tile.h"

namespace retort {
namespace {

constexpr int64_t kTokens = 64;  // per step: the pages of that many rows fit in the TLB
constexpr int64_t kNarrow = 64;  // b with at most this many columns: panels are made from a

// c [M,N] += a^T b; if b is the narrow factor, computed transposed: c^T += b^T a.
struct Outer {
  const float *left, *right;  // [tokens,narrow], [tokens,wide]
  float* out;
  bool turned;
  int64_t tokens, narrow, wide;

  template <class Sum>
  explicit Outer(const Sum& s) : turned(s.b.cols() <= kNarrow && s.b.cols() < s.a.cols()) {
    const Tensor &small = turned ? s.b : s.a, &large = turned ? s.a : s.b;
    left = small.template data<float>(), right = large.template data<float>();
    out = s.c.template data<float>();
    tokens = s.a.rows(), narrow = small.cols(), wide = large.cols();
  }

  // sum [narrow,64] += left^T times columns [col, col + 64) of `right`, of which n exist.
  void AddTo(Isa isa, int64_t col, int64_t n, float* sum, int64_t sum_row) const {
    for (int64_t t = 0; t < tokens; t += kTokens) {
      const int64_t count = std::min(kTokens, tokens - t);
      alignas(64) float copy[kTokens * kPanel];
      TileB b{right + t * wide + col, wide};
      if (n < kPanel) {
        std::fill_n(copy, count * kPanel, 0.0f);
        for (int64_t i = 0; i < count; ++i) std::copy_n(b.data + i * wide, n, copy + i * kPanel);
        b = {copy, kPanel};
      }
      CallSimd<TileProduct<true>>(isa, narrow, kPanel, count, TileA{left + t * narrow, 1, narrow},
                                  b, TileC{sum, sum_row});
    }
  }

  // block: a buffer of [narrow,64]
  void AddPanel(Isa isa, int64_t col, float* block) const {
    const int64_t n = std::min(kPanel, wide - col);
    if (!turned && n == kPanel) return AddTo(isa, col, n, out + col, wide);
    std::fill_n(block, narrow * kPanel, 0.0f);
    AddTo(isa, col, n, block, kPanel);
    for (int64_t i = 0; i < narrow; ++i) {
      for (int64_t j = 0; j < n; ++j)
        out[turned ? (col + j) * narrow + i : i * wide + col + j] += block[i * kPanel + j];
    }
  }
};

Tensor Transposed(ThreadPool& pool, Memory& memory, const Tensor& x) {
  const int64_t rows = x.rows(), cols = x.cols();
  Tensor out = Tensor::Make(memory, {cols, rows}, DType::kF32);
  ForRanges(pool, cols, RowsPerPiece(rows), [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      for (int64_t r = 0; r < rows; ++r)
        out.data<float>()[c * rows + r] = x.data<float>()[r * cols + c];
    }
  });
  return out;
}

}  // namespace

// Each piece multiplies a panel of the wider factor by all of the narrower one.
void CpuBackend::AddTokenSums(std::span<const TokenSum> sums) {
  std::vector<int64_t> ends;  // the end of each sum's pieces, numbered over all sums
  int64_t pieces = 0, narrowest = 0;
  double operations = 0;
  std::vector<Outer> outers;
  for (const TokenSum& sum : sums) {
    const Outer& outer = outers.emplace_back(sum);
    ends.push_back(pieces += CeilDiv(outer.wide, kPanel));
    narrowest = std::max(narrowest, outer.narrow);
    operations += 2.0 * static_cast<double>(outer.tokens * outer.wide * outer.narrow);
  }
  const Tensor room = Tensor::Make(*memory_, {pool_.threads(), narrowest * kPanel}, DType::kF32);
  ForPieces(pool_, operations, pieces, [&](int64_t piece, int worker) {
    const auto at = static_cast<size_t>(std::ranges::upper_bound(ends, piece) - ends.begin());
    const int64_t col = (piece - (at ? ends[at - 1] : 0)) * kPanel;
    outers[at].AddPanel(isa_, col, room.data<float>() + worker * room.cols());
  });
}

void CpuBackend::Gemm(bool transpose_a, bool transpose_b, float alpha, const Tensor& a,
                      const Tensor& b, float beta, Tensor& c) {
  const int64_t rows = c.rows(), cols = c.cols(), depth = transpose_a ? a.rows() : a.cols();
  RETORT_CHECK((transpose_a ? a.cols() : a.rows()) == rows &&
                   (transpose_b ? b.cols() : b.rows()) == depth &&
                   (transpose_b ? b.rows() : b.cols()) == cols,
               "gemm of ", a.shape().text(), transpose_a ? "^T" : "", " and ", b.shape().text(),
               transpose_b ? "^T" : "", " into ", c.shape().text());
  if (rows == 0 || cols == 0) return;
  const bool by_tokens = transpose_a && !transpose_b;
  if (beta == 0 && (by_tokens || depth == 0)) {
    Fill(c, 0);
  } else if (beta != 0 && beta != 1) {
    Scale(c, beta);
  }
  if (depth == 0) return;
  Tensor left = transpose_a && !by_tokens ? Transposed(pool_, *memory_, a) : a, right = b;
  if (alpha != 1) {  // scales a copy of the smaller factor
    Tensor& smaller = a.elements() < b.elements() ? left : right;
    Tensor scaled = Zeros(smaller.shape());
    Accumulate(smaller, scaled);
    Scale(scaled, alpha);
    smaller = scaled;
  }
  if (by_tokens) {
    const TokenSum sum{left, right, c};
    return AddTokenSums({&sum, 1});
  }
  const DType f32 = DType::kF32;
  const Weight w = AsWeight(right);
  const PanelProduct product{
      .terms = {{left.data<float>(), depth,
                 transpose_b ? PackTransposed(isa_, f32, w) : PackStraight(isa_, f32, w)}},
      .cols = cols,
      .out = c.data<float>(),
      .add = beta != 0};
  RunPanels({products_->f32(), pool_, *memory_, isa_}, rows, {&product, 1});
}

}  // namespace retort
