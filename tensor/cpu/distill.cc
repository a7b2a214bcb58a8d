// SPDX-License-Identifier: Apache-2.0
// Distillation of rows of logits against the teacher's own, and its gradient in the student's place.
// The teacher's row becomes h.
#include "tensor/cpu/distill.h"

#include "tensor/cpu/cpu_backend.h"

namespace retort {
namespace {

template <Divergence kKind>
struct DistillRow {
  template <int W>
  RETORT_INLINE static void Run(const DistillSettings* settings, float* z, int64_t vocab,
                                float* teacher, int64_t shared, int32_t target, float ce_weight,
                                float kd_weight, bool gradient, double* ce, double* kd) {
    const StudentRow row =
        MakeStudentRow<W>(*settings, z, vocab, shared, target, ce_weight, kd_weight);
    *ce = row.CrossEntropy();
    LogProbs p{teacher, Most<W>(teacher, shared), row.factor};
    p.log_sum =
        static_cast<float>(std::log(SumBlocks<W>(ExpTerm{teacher, p.most, p.factor}, shared)));
    *kd = SumBlocks<W>(TermOf<kKind>(*settings, p, row.log_probs(), teacher), shared);
    if (!gradient) return;
    const double sum_h = SumBlocks<W>(PlainTerm{teacher}, shared);
    WriteGradient<W>(row, teacher, static_cast<float>(-sum_h));
  }
};

}  // namespace

void CheckDistill(const DistillSettings& settings, const DistillTokens& tokens, int64_t rows,
                  int64_t vocab) {
  const auto n = static_cast<size_t>(rows);
  RETORT_CHECK(tokens.targets.size() == n && tokens.ce_weight.size() == n &&
                   tokens.kd_weight.size() == n && tokens.ce.size() == n && tokens.kd.size() == n,
               tokens.targets.size(), " targets for ", rows, " rows");
  for (int32_t t : tokens.targets) RETORT_CHECK(t >= 0 && t < vocab, "target ", t, " of ", vocab);
  RETORT_CHECK(settings.temperature > 0, "a temperature of ", settings.temperature);
  RETORT_CHECK(settings.divergence != Divergence::kJsd || (settings.beta > 0 && settings.beta < 1),
               "a beta of ", settings.beta);
}

void CpuBackend::Distill(const DistillSettings& settings, const DistillTokens& tokens,
                         bool gradient, Tensor& logits, Tensor& teacher) {
  const int64_t rows = logits.rows(), cols = logits.cols(), teacher_cols = teacher.cols();
  CheckDistill(settings, tokens, rows, cols);
  RETORT_CHECK(teacher.rows() == rows, teacher.shape().text(), " for ", logits.shape().text());
  const int64_t shared = std::min(cols, teacher_cols);
  const auto row = [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    float *z = logits.data<float>() + i * cols, *t = teacher.data<float>() + i * teacher_cols;
    const int32_t target = tokens.targets[at];
    const float ce_weight = tokens.ce_weight[at], kd_weight = tokens.kd_weight[at];
    if (settings.divergence == Divergence::kSorted) {
      return DistillSortedRow(isa_, settings, z, cols, t, teacher_cols, target, ce_weight,
                              kd_weight, gradient, &tokens.ce[at], &tokens.kd[at]);
    }
    ForDivergence(settings.divergence, [&]<Divergence kKind>() {
      CallSimd<DistillRow<kKind>>(isa_, &settings, z, cols, t, shared, target, ce_weight,
                                  kd_weight, gradient, &tokens.ce[at], &tokens.kd[at]);
    });
  };
  ForRanges(pool_, rows, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) row(i);
  });
}

}  // namespace retort
