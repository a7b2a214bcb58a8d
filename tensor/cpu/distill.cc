// SPDX-License-Identifier: Apache-2.0
// Distillation loss of rows of logits against the teacher's logits. The gradient overwrites the
// student's logits; h overwrites the teacher's.
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

DistillRows::DistillRows(const DistillSettings& settings, const DistillTokens& tokens, int64_t rows,
                         int64_t vocab)
    : targets(tokens.targets.data<int32_t>()),
      ce_weights(tokens.ce_weight.data<float>()),
      kd_weights(tokens.kd_weight.data<float>()),
      scale(tokens.scale),
      ce(tokens.ce.data<double>()),
      kd(tokens.kd.data<double>()),
      losses(tokens.losses.data<double>()) {
  CheckDistill(settings, tokens, rows);
  for (int64_t i = 0; i < rows; ++i) {
    RETORT_CHECK(targets[i] >= 0 && targets[i] < vocab, "target ", targets[i], " of ", vocab);
  }
}

void CpuBackend::Distill(const DistillSettings& settings, const DistillTokens& tokens,
                         bool gradient, Tensor& logits, Tensor& teacher) {
  const int64_t rows = logits.rows(), cols = logits.cols(), teacher_cols = teacher.cols();
  const DistillRows at(settings, tokens, rows, cols);
  RETORT_CHECK(teacher.rows() == rows, teacher.shape().text(), " for ", logits.shape().text());
  const int64_t shared = std::min(cols, teacher_cols);
  const auto row = [&](int64_t i) {
    float *z = logits.data<float>() + i * cols, *t = teacher.data<float>() + i * teacher_cols;
    if (settings.divergence == Divergence::kSorted) {
      DistillSortedRow(isa_, settings, z, cols, t, teacher_cols, at.targets[i], at.ce_weight(i),
                       at.kd_weight(i), gradient, at.ce + i, at.kd + i);
    } else {
      ForDivergence(settings.divergence, [&]<Divergence kKind>() {
        CallSimd<DistillRow<kKind>>(isa_, &settings, z, cols, t, shared, at.targets[i],
                                    at.ce_weight(i), at.kd_weight(i), gradient, at.ce + i,
                                    at.kd + i);
      });
    }
    at.SetLoss(i);
  };
  ForRanges(pool_, rows, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) row(i);
  });
}

}  // namespace retort
