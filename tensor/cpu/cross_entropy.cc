// SPDX-License-Identifier: Apache-2.0
// Cross entropy of rows of logits, and its gradient in their place.
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/softmax.h"

namespace retort {
namespace {

struct CrossEntropyRow {
  template <int W>
  RETORT_INLINE static void Run(float* x, int64_t n, int32_t target, float gradient_scale,
                                double* loss) {
    const float most = Most<W>(x, n), at_target = x[target];
    const ExpTerm term{x, most, 1, gradient_scale != 0 ? x : nullptr};
    const double sum = SumBlocks<W>(term, n);
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
