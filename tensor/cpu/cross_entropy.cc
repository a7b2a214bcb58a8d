// SPDX-License-Identifier: Apache-2.0
// Cross entropy of rows of logits, and its gradient in their place.
#include <cmath>
#include <limits>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

struct ExpTerm {  // exp(x - most), kept where asked
  const float* x;
  float most;
  float* keep;

  template <int W>
  RETORT_INLINE Floats<W> Term(int64_t i, AllLanes lanes) const {
    return Kept<W>(Load<W>(x + i), i, lanes);
  }
  template <int W>
  RETORT_INLINE Floats<W> Term(int64_t i, FirstLanes lanes) const {
    float part[W];  // unused lanes must come to 0
    for (int64_t j = 0; j < W; ++j) part[j] = j < lanes.n ? x[i + j] : kLowest;
    return Kept<W>(Load<W>(part), i, lanes);
  }
  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Kept(Floats<W> v, int64_t i, Lanes lanes) const {
    const Floats<W> e = Exp<W>(v - most);
    if (keep) Store<W>(keep + i, e, lanes);
    return e;
  }
};

struct ScaleOp {
  float* x;
  float factor;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    Store<W>(x + i, Load<W>(x + i, lanes) * factor, lanes);
  }
};

struct CrossEntropyRow {
  static constexpr int64_t kBlock = 4096;  // sums of blocks are added in double

  template <int W>
  RETORT_INLINE static float Most(const float* x, int64_t n) {
    Floats<W> most = Splat<W>(kLowest);
    int64_t i = 0;
    for (; i + W <= n; i += W) most = Max<W>(Load<W>(x + i), most);
    float result = MaxLane<W>(most);
    for (; i < n; ++i) result = x[i] > result ? x[i] : result;
    return result;
  }

  template <int W>
  RETORT_INLINE static void Run(float* x, int64_t n, int32_t target, float gradient_scale,
                                double* loss) {
    const float most = Most<W>(x, n), at_target = x[target];
    const ExpTerm term{x, most, gradient_scale != 0 ? x : nullptr};
    double sum = 0;
    for (int64_t i = 0; i < n; i += kBlock) sum += SumLanes<W>(term, i, std::min(n, i + kBlock));
    *loss = std::log(sum) + (static_cast<double>(most) - at_target);
    if (gradient_scale == 0) return;
    ForLanes<W>(ScaleOp{x, static_cast<float>(gradient_scale / sum)}, 0, n);
    x[target] -= gradient_scale;
  }
};

}  // namespace

void CpuBackend::CrossEntropy(Tensor& logits, std::span<const int32_t> targets,
                              float gradient_scale, std::span<double> losses) {
  const int64_t rows = logits.rows(), cols = logits.cols();
  RETORT_CHECK(static_cast<int64_t>(targets.size()) == rows && losses.size() == targets.size(),
               targets.size(), " targets, ", losses.size(), " losses for ", rows, " rows");
  for (int32_t t : targets) RETORT_CHECK(t >= 0 && t < cols, "target ", t, " of ", cols);
  ForRanges(pool_, rows, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto at = static_cast<size_t>(i);
      CallSimd<CrossEntropyRow>(isa_, logits.data<float>() + i * cols, cols, targets[at],
                                gradient_scale, &losses[at]);
    }
  });
}

}  // namespace retort
