// SPDX-License-Identifier: Apache-2.0
// Shared by the distillation kernels: for each outcome, a divergence's value and its h = q dL/dq
// (tensor/distillation.h), computed from the two log-probabilities.
#pragma once

#include "tensor/cpu/softmax.h"
#include "tensor/distillation.h"

namespace retort {

// Below this e^x is 0 in f32; a finite floor keeps 0 * log 0 at 0.
inline constexpr float kLogFloor = -1e4f;

// Log-probabilities of a row of logits.
struct LogProbs {
  const float* x;
  float most = 0;
  float factor = 1;   // 1 / temperature
  float log_sum = 0;  // of exp((x - most) * factor)

  template <int W, class Lanes>
  RETORT_INLINE Floats<W> At(int64_t i, Lanes lanes) const {
    const Floats<W> v = (LoadOr<W>(x + i, kMinusInfinity, lanes) - most) * factor - log_sum;
    return AtLeast<W>(v, Splat<W>(kLogFloor));
  }
};

// The term of one outcome: value and h. Uses differences of log-probabilities instead of ratios of
// probabilities, which may both be 0.
template <Divergence kKind>
struct OutcomeTerm {
  LogProbs teacher, student;
  float beta, log_beta, log_rest;  // log(beta), log(1 - beta)
  float* h;

  template <int W, class Lanes>
  RETORT_INLINE Floats<W> Term(int64_t i, Lanes lanes) const {
    const Floats<W> lp = teacher.At<W>(i, lanes), lq = student.At<W>(i, lanes);
    const Floats<W> p = Exp<W>(lp), q = Exp<W>(lq);
    Floats<W> value, slope;
    if constexpr (kKind == Divergence::kForwardKl) {
      value = p * (lp - lq);
      slope = -p;
    } else if constexpr (kKind == Divergence::kReverseKl) {
      value = q * (lq - lp);
      slope = value;  // without the term q: a multiple of q cancels in h - q H
    } else if constexpr (kKind == Divergence::kJsd) {
      const Floats<W> a = lp + log_beta, b = lq + log_rest;
      const Floats<W> top = Max<W>(a, b), gap = a > b ? b - a : a - b;
      const Floats<W> lm = top + Log1pOfShare<W>(Exp<W>(gap));
      slope = q * (lq - lm) * (1 - beta);
      value = p * (lp - lm) * beta + slope;
    } else {
      const Floats<W> gap = q - p;
      value = (gap < 0.0f ? -gap : gap) * 0.5f;
      slope = q * (gap > 0.0f ? Splat<W>(0.5f) : gap < 0.0f ? Splat<W>(-0.5f) : Splat<W>(0.0f));
    }
    Store<W>(h + i, slope, lanes);
    return value;
  }
};

template <Divergence kKind>
OutcomeTerm<kKind> TermOf(const DistillSettings& s, const LogProbs& teacher,
                          const LogProbs& student, float* h) {
  return {teacher, student, s.beta, std::log(s.beta), std::log1p(-s.beta), h};
}

// A token's logits z, their sums of exponentials, and the inputs of its gradient.
struct StudentRow {
  float* z;
  int64_t vocab, shared;
  float most, factor;     // largest logit; 1 / temperature
  double ce_sum, kd_sum;  // over vocab at temperature 1; over shared at the settings' temperature
  int32_t target;
  float ce_weight, kd_weight;  // kd_weight is divided by the temperature

  bool one_softmax() const { return factor == 1 && shared == vocab; }
  LogProbs log_probs() const { return {z, most, factor, static_cast<float>(std::log(kd_sum))}; }
  double CrossEntropy() const { return std::log(ce_sum) + (static_cast<double>(most) - z[target]); }
};

template <int W>
RETORT_INLINE StudentRow MakeStudentRow(const DistillSettings& s, float* z, int64_t vocab,
                                        int64_t shared, int32_t target, float ce_weight,
                                        float kd_weight) {
  StudentRow row{z, vocab, shared, Most<W>(z, vocab), 1 / s.temperature,
                 0, 0,     target, ce_weight,         kd_weight / s.temperature};
  row.ce_sum = SumBlocks<W>(ExpTerm{z, row.most}, vocab);
  row.kd_sum =
      row.one_softmax() ? row.ce_sum : SumBlocks<W>(ExpTerm{z, row.most, row.factor}, shared);
  return row;
}

// z = ce_weight softmax(z) + kd_weight (h - q H) over the shared ids, where h is given or is q
// times a constant. WriteGradient subtracts ce_weight from the target's gradient afterwards.
struct GradientOp {
  float* z;
  const float* h;                          // null: all outcomes have dL/dq - H = `slope`
  float slope;                             // with h: -H
  float most, factor, ce_scale, kd_scale;  // 1 / sum of each softmax
  float ce_weight, kd_weight;
  bool one_softmax;

  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> x = Load<W>(z + i, lanes) - most;
    const Floats<W> e = Exp<W>(x);
    const Floats<W> q = (one_softmax ? e : Exp<W>(x * factor)) * kd_scale;
    Floats<W> kd = q * slope;
    if (h) kd += Load<W>(h + i, lanes);
    Store<W>(z + i, e * (ce_weight * ce_scale) + kd * kd_weight, lanes);
  }
};

template <int W>
RETORT_INLINE void WriteGradient(const StudentRow& row, const float* h, float slope) {
  const GradientOp op{row.z,
                      h,
                      slope,
                      row.most,
                      row.factor,
                      static_cast<float>(1 / row.ce_sum),
                      static_cast<float>(1 / row.kd_sum),
                      row.ce_weight,
                      row.kd_weight,
                      row.one_softmax()};
  ForLanes<W>(op, 0, row.shared);
  const ExpTerm rest{row.z + row.shared, row.most, 1, row.z + row.shared};
  SumBlocks<W>(rest, row.vocab - row.shared);
  ForLanes<W>(ScaleOp{row.z + row.shared, row.ce_weight * op.ce_scale}, 0, row.vocab - row.shared);
  row.z[row.target] -= row.ce_weight;
}

// Calls fn.template operator()<kKind>() for that divergence. kSorted is an Error{kBug}.
template <class Fn>
void ForDivergence(Divergence kind, const Fn& fn) {
  switch (kind) {
    case Divergence::kForwardKl:
      return fn.template operator()<Divergence::kForwardKl>();
    case Divergence::kReverseKl:
      return fn.template operator()<Divergence::kReverseKl>();
    case Divergence::kJsd:
      return fn.template operator()<Divergence::kJsd>();
    case Divergence::kTotalVariation:
      return fn.template operator()<Divergence::kTotalVariation>();
    case Divergence::kSorted:
      break;
  }
  RETORT_CHECK(false, "sorted has no outcomes of its own");
}

// Raw pointers to the tokens of a call, for the kernels. The constructor checks the tokens, before
// anything is overwritten.
struct DistillRows {
  DistillRows(const DistillSettings& settings, const DistillTokens& tokens, int64_t rows,
              int64_t vocab);

  float ce_weight(int64_t i) const { return scale * ce_weights[i]; }
  float kd_weight(int64_t i) const { return scale * kd_weights[i]; }
  void SetLoss(int64_t i) const {
    losses[i] = DistillLoss(ce_weights[i], ce[i], kd_weights[i], kd[i]);
  }

  const int32_t* targets;
  const float *ce_weights, *kd_weights;
  float scale;
  double *ce, *kd, *losses;
};

// The kSorted case of Distill, one row.
void DistillSortedRow(Isa isa, const DistillSettings& settings, float* z, int64_t vocab,
                      const float* teacher, int64_t teacher_vocab, int32_t target, float ce_weight,
                      float kd_weight, bool gradient, double* ce, double* kd);

}  // namespace retort
