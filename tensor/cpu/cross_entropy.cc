// SPDX-License-Identifier: Apache-2.0
// Cross entropy of rows of logits and its in-place gradient; sums of losses.
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/softmax.h"

namespace retort {
namespace {

struct CrossEntropyRow {
  template <int W>
  // scale: null if no gradient is needed
  RETORT_INLINE static void Run(float* x, int64_t n, int32_t target, const float* scale,
                                double* loss) {
    const float most = Most<W>(x, n), at_target = x[target];
    const ExpTerm term{x, most, 1, scale ? x : nullptr};
    const double sum = SumBlocks<W>(term, n);
    *loss = std::log(sum) + (static_cast<double>(most) - at_target);
    if (!scale) return;
    ForLanes<W>(ScaleOp{x, static_cast<float>(*scale / sum)}, 0, n);
    x[target] -= *scale;
  }
};

}  // namespace

void CpuBackend::CrossEntropy(Tensor& logits, const Tensor& targets, const Tensor& scales,
                              Tensor& losses) {
  const int64_t rows = logits.rows(), cols = logits.cols();
  RETORT_CHECK(targets.elements() == rows && losses.elements() == rows &&
                   (!scales || scales.elements() == rows),
               targets.elements(), " targets, ", losses.elements(), " losses for ", rows, " rows");
  const float* scale = scales ? scales.data<float>() : nullptr;
  const int32_t* target = targets.data<int32_t>();
  double* loss = losses.data<double>();
  for (int64_t i = 0; i < rows; ++i) {
    RETORT_CHECK(target[i] >= 0 && target[i] < cols, "target ", target[i], " of ", cols);
  }
  ForRanges(pool_, rows, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      CallSimd<CrossEntropyRow>(isa_, logits.data<float>() + i * cols, cols, target[i],
                                scale ? scale + i : nullptr, loss + i);
    }
  });
}

void CpuBackend::AddSum(const Tensor& x, double factor, Tensor& sum) {
  RETORT_CHECK(sum.elements() == 1, "a sum in ", sum.shape().text());
  double total = 0;
  for (int64_t i = 0; i < x.elements(); ++i) total += x.data<double>()[i];
  *sum.data<double>() += factor * total;
}

}  // namespace retort
