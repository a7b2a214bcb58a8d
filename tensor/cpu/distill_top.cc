// SPDX-License-Identifier: Apache-2.0
// Distillation against a teacher's most probable outcomes and the tail of all others, which is one
// more outcome.
//
// The student's tail is computed as a sum over the ids that were not kept, because 1 minus the kept
// ones would lose precision. All ids of the tail have the same dL/dq, so the gradient is one pass
// over the row and a correction for each kept id.
#include <vector>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/distill.h"

namespace retort {
namespace {

// Buffers for k + 1 outcomes, the tail last.
struct Outcomes {
  explicit Outcomes(int64_t count)
      : logits(static_cast<size_t>(count)), log_p(logits), log_q(logits), h(logits) {}
  std::vector<float> logits, log_p, log_q, h;
};

struct TopRow {
  const int32_t* ids;
  const float* log_probs;
  float tail;
  int64_t kept;
};

// h = weight * (h - q slope): the correction for a kept outcome, relative to the tail's gradient.
struct KeptOp {
  float* h;
  const float* log_q;
  float slope, weight;

  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t k, Lanes lanes) const {
    const Floats<W> q = Exp<W>(Load<W>(log_q + k, lanes));
    Store<W>(h + k, (Load<W>(h + k, lanes) - q * slope) * weight, lanes);
  }
};

template <Divergence kKind>
struct DistillTopRow {
  template <int W>
  RETORT_INLINE static void Run(const DistillSettings* settings, float* z, int64_t vocab,
                                int64_t shared, const TopRow* top, int32_t target, float ce_weight,
                                float kd_weight, bool gradient, Outcomes* work, double* ce,
                                double* kd) {
    const StudentRow row =
        MakeStudentRow<W>(*settings, z, vocab, shared, target, ce_weight, kd_weight);
    *ce = row.CrossEntropy();
    const int64_t kept = top->kept;
    float *own = work->logits.data(), *log_p = work->log_p.data(), *log_q = work->log_q.data(),
          *h = work->h.data();
    for (int64_t k = 0; k < kept; ++k) {
      own[k] = z[top->ids[k]];
      z[top->ids[k]] = kMinusInfinity;
    }
    const double rest = SumBlocks<W>(ExpTerm{z, row.most, row.factor}, shared);
    const auto log_sum = static_cast<float>(std::log(row.kd_sum));
    for (int64_t k = 0; k < kept; ++k) {
      z[top->ids[k]] = own[k];
      log_p[k] = top->log_probs[k];
      log_q[k] = (own[k] - row.most) * row.factor - log_sum;
    }
    log_p[kept] = top->tail;
    log_q[kept] = static_cast<float>(std::log(rest / row.kd_sum));
    *kd = SumBlocks<W>(TermOf<kKind>(*settings, {log_p}, {log_q}, h), kept + 1);
    if (!gradient) return;
    const double sum_h = SumBlocks<W>(PlainTerm{h}, kept + 1);
    const double slope = rest > 0 ? h[kept] * row.kd_sum / rest : 0;  // dL/dq of the tail
    WriteGradient<W>(row, nullptr, static_cast<float>(slope - sum_h));
    ForLanes<W>(KeptOp{h, log_q, static_cast<float>(slope), row.kd_weight}, 0, kept);
    for (int64_t k = 0; k < kept; ++k) z[top->ids[k]] += h[k];
  }
};

void CheckTop(const TopOutcomes& top, int64_t rows, int64_t vocab) {
  RETORT_CHECK(top.kept >= 1 && top.kept <= top.vocab && top.vocab <= vocab, top.kept, " kept of ",
               top.vocab, " ids, ", vocab, " logits");
  RETORT_CHECK(top.ids.elements() == rows * top.kept &&
                   top.log_probs.elements() == rows * top.kept && top.tail.elements() == rows,
               top.ids.elements(), " kept ids for ", rows, " rows");
  const int32_t* ids = top.ids.data<int32_t>();
  for (int64_t i = 0; i < top.ids.elements(); ++i) {
    RETORT_CHECK(ids[i] >= 0 && ids[i] < top.vocab, "id ", ids[i], " of ", top.vocab);
  }
}

}  // namespace

void CpuBackend::DistillTop(const DistillSettings& settings, const DistillTokens& tokens,
                            bool gradient, Tensor& logits, const TopOutcomes& teacher) {
  const int64_t rows = logits.rows(), cols = logits.cols(), kept = teacher.kept;
  const DistillRows at(settings, tokens, rows, cols);
  CheckTop(teacher, rows, cols);
  ForRanges(pool_, rows, RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    Outcomes work(kept + 1);
    for (int64_t i = begin; i < end; ++i) {
      const TopRow top{teacher.ids.data<int32_t>() + i * kept,
                       teacher.log_probs.data<float>() + i * kept, teacher.tail.data<float>()[i],
                       kept};
      ForDivergence(settings.divergence, [&]<Divergence kKind>() {
        CallSimd<DistillTopRow<kKind>>(isa_, &settings, logits.data<float>() + i * cols, cols,
                                       teacher.vocab, &top, at.targets[i], at.ce_weight(i),
                                       at.kd_weight(i), gradient, &work, at.ce + i, at.kd + i);
      });
      at.SetLoss(i);
    }
  });
}

}  // namespace retort
