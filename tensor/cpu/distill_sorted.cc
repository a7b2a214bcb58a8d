// SPDX-License-Identifier: Apache-2.0
// The distance between two sorted distributions over different vocabularies.
#include <algorithm>
#include <bit>
#include <vector>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/distill.h"

namespace retort {
namespace {

// The probabilities of a row in descending order, with their ids. Sorted as integers: positive
// floats have the order of their bits.
struct SortKernel {
  template <int W>
  RETORT_INLINE static void Run(const float* x, int64_t n, float factor, float* p,
                                std::vector<uint64_t>* keys) {
    const double sum = SumBlocks<W>(ExpTerm{x, Most<W>(x, n), factor, p}, n);
    ForLanes<W>(ScaleOp{p, static_cast<float>(1 / sum)}, 0, n);
    keys->resize(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
      (*keys)[static_cast<size_t>(i)] =
          uint64_t{std::bit_cast<uint32_t>(p[i])} << 32 | static_cast<uint32_t>(i);
    }
    std::sort(keys->begin(), keys->end(), std::greater<>());
  }
};

struct GradientKernel {
  template <int W>
  RETORT_INLINE static void Run(const DistillSettings* settings, float* z, int64_t vocab,
                                int32_t target, float ce_weight, float kd_weight, bool gradient,
                                const float* h, double sum_h, double* ce) {
    const StudentRow row =
        MakeStudentRow<W>(*settings, z, vocab, vocab, target, ce_weight, kd_weight);
    *ce = row.CrossEntropy();
    if (gradient) WriteGradient<W>(row, h, static_cast<float>(-sum_h));
  }
};

float Probability(uint64_t key) { return std::bit_cast<float>(static_cast<uint32_t>(key >> 32)); }

}  // namespace

void DistillSortedRow(Isa isa, const DistillSettings& settings, float* z, int64_t vocab,
                      const float* teacher, int64_t teacher_vocab, int32_t target, float ce_weight,
                      float kd_weight, bool gradient, double* ce, double* kd) {
  std::vector<float> p(static_cast<size_t>(teacher_vocab)), h(static_cast<size_t>(vocab));
  std::vector<uint64_t> ps, qs;
  CallSimd<SortKernel>(isa, teacher, teacher_vocab, 1 / settings.temperature, p.data(), &ps);
  CallSimd<SortKernel>(isa, z, vocab, 1 / settings.temperature, h.data(), &qs);
  double sum = 0, sum_h = 0;
  for (size_t i = 0; i < std::max(ps.size(), qs.size()); ++i) {
    const float a = i < ps.size() ? Probability(ps[i]) : 0;
    const float q = i < qs.size() ? Probability(qs[i]) : 0;
    sum += std::abs(q - a);
    if (i >= qs.size()) continue;
    const float slope = q > a ? q : q < a ? -q : 0;
    h[static_cast<uint32_t>(qs[i])] = slope;
    sum_h += slope;
  }
  *kd = sum;
  CallSimd<GradientKernel>(isa, &settings, z, vocab, target, ce_weight, kd_weight, gradient,
                           static_cast<const float*>(h.data()), sum_h, ce);
}

}  // namespace retort
