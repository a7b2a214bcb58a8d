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
                                float smoothing, double* loss) {
    const float most = Most<W>(x, n), at_target = x[target];
    const double below = smoothing > 0 ? MeanBelow(x, n, most) : 0;
    const ExpTerm term{x, most, 1, scale ? x : nullptr};
    const double sum = SumBlocks<W>(term, n);
    *loss = std::log(sum) + (1 - smoothing) * (static_cast<double>(most) - at_target) +
            smoothing * below;
    if (!scale) return;
    ForLanes<W>(ScaleOp{x, static_cast<float>(*scale / sum)}, 0, n);
    if (smoothing > 0) {
      const float uniform = *scale * smoothing / static_cast<float>(n);
      for (int64_t i = 0; i < n; ++i) x[i] -= uniform;
    }
    x[target] -= *scale * (1 - smoothing);
  }

  // mean of most - x
  RETORT_INLINE static double MeanBelow(const float* x, int64_t n, float most) {
    constexpr int kSums = 16;  // the same order for every width of vectors
    double sums[kSums] = {};
    int64_t i = 0;
    for (; i + kSums <= n; i += kSums) {
      for (int j = 0; j < kSums; ++j) sums[j] += static_cast<double>(most) - x[i + j];
    }
    double total = 0;
    for (; i < n; ++i) total += static_cast<double>(most) - x[i];
    for (const double s : sums) total += s;
    return total / static_cast<double>(n);
  }
};

}  // namespace

void CpuBackend::CrossEntropy(Tensor& logits, const Tensor& targets, const Tensor& scales,
                              float smoothing, Tensor& losses) {
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
                                scale ? scale + i : nullptr, smoothing, loss + i);
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
