// SPDX-License-Identifier: Apache-2.0
// Shared by the distillation kernels: the tokens of a call, for each outcome a divergence's value
// and its h = q dL/dq (tensor/distillation.h), and a student's gradient.
#pragma once

#include <cmath>

#include "tensor/cuda/arguments.h"
#include "tensor/cuda/row_softmax.h"
#include "tensor/distillation.h"

namespace retort::cuda {

// The tokens of a call. A target that is no id makes its token's losses NaN.
struct TokenArguments {
  Global<const int32_t> targets;
  Global<const float> ce_weights, kd_weights;
  float scale;
  Global<double> ce, kd, losses;

  __device__ void SetLoss(int64_t row, double ce_loss, double kd_loss) const {
    const float ce_weight = ce_weights[row], kd_weight = kd_weights[row];
    ce[row] = ce_loss;
    kd[row] = kd_loss;
    // As DistillLoss: a weight of 0 removes its term.
    losses[row] =
        (ce_weight != 0 ? ce_weight * ce_loss : 0) + (kd_weight != 0 ? kd_weight * kd_loss : 0);
  }
};
inline TokenArguments ArgumentsOf(const DistillTokens& tokens) {
  return {In<int32_t>(tokens.targets), In<float>(tokens.ce_weight),
          In<float>(tokens.kd_weight), tokens.scale,
          Out<double>(tokens.ce),      Out<double>(tokens.kd),
          Out<double>(tokens.losses)};
}

struct DivergenceArguments {
  float factor;                    // 1 / temperature
  float beta, log_beta, log_rest;  // of jsd: log(beta), log(1 - beta)
};
inline DivergenceArguments ArgumentsOf(const DistillSettings& s) {
  return {1 / s.temperature, s.beta, std::log(s.beta), std::log1p(-s.beta)};
}

// Below this e^x is 0 in f32; a finite floor keeps 0 * log 0 at 0.
__device__ inline float AboveLogFloor(float v) {
  constexpr float kLogFloor = -1e4f;
  return v < kLogFloor ? kLogFloor : v;  // NaN stays
}

// Log-probabilities of a row of logits.
struct LogProbs {
  float most, factor, log_sum;

  __device__ LogProbs(const SoftmaxSum& softmax, float factor_of)
      : most(softmax.most), factor(factor_of), log_sum(static_cast<float>(log(softmax.sum))) {}
  __device__ float Of(float logit) const {
    return AboveLogFloor((logit - most) * factor - log_sum);
  }
};

// The term of one outcome.
struct Outcome {
  float value, h;
};
// Uses differences of log-probabilities instead of ratios of probabilities, which may both be 0.
template <Divergence kKind>
__device__ inline Outcome OutcomeOf(const DivergenceArguments& s, float lp, float lq) {
  const float p = expf(lp), q = expf(lq);
  if constexpr (kKind == Divergence::kForwardKl) {
    return {p * (lp - lq), -p};
  } else if constexpr (kKind == Divergence::kReverseKl) {
    const float value = q * (lq - lp);
    return {value, value};  // without the term q: a multiple of q cancels in h - q H
  } else if constexpr (kKind == Divergence::kJsd) {
    const float a = lp + s.log_beta, b = lq + s.log_rest;
    const float lm = (a > b ? a : b) + log1pf(expf(-fabsf(a - b)));
    const float h = q * (lq - lm) * (1 - s.beta);
    return {p * (lp - lm) * s.beta + h, h};
  } else {
    const float gap = q - p;
    return {fabsf(gap) / 2, gap > 0 ? q / 2 : gap < 0 ? -q / 2 : 0.0f};
  }
}

// A student's gradient of a row: ce_weight (softmax - target) + kd_weight (h - q H).
struct StudentGradient {
  float ce_most, kd_most, factor;
  float ce_scale, kd_scale;    // 1 / sum of each softmax
  float ce_weight, kd_weight;  // with the objective's scale; kd_weight over the temperature
  int32_t target;

  __device__ StudentGradient(const TokenArguments& tokens, int64_t row, float factor_of,
                             const SoftmaxSum& ce, const SoftmaxSum& kd)
      : ce_most(ce.most),
        kd_most(kd.most),
        factor(factor_of),
        ce_scale(static_cast<float>(1 / ce.sum)),
        kd_scale(static_cast<float>(1 / kd.sum)),
        ce_weight(tokens.scale * tokens.ce_weights[row]),
        kd_weight(tokens.scale * tokens.kd_weights[row] * factor_of),
        target(tokens.targets[row]) {}

  __device__ float OfCrossEntropy(int64_t id, float logit) const {
    const float p = expf(logit - ce_most) * ce_scale;
    return ce_weight * p - (id == target ? ce_weight : 0.0f);
  }
  // slope: -H, or dL/dq - H of outcomes without h.
  __device__ float OfBoth(int64_t id, float logit, float h, float slope) const {
    const float q = expf((logit - kd_most) * factor) * kd_scale;
    return OfCrossEntropy(id, logit) + kd_weight * (h + q * slope);
  }
};

// A row's logit of its target; NaN if that is no id.
__device__ inline float TargetLogit(Global<const float> z, int64_t vocab, int32_t target) {
  float at_target = kNotANumber;
  if (target >= 0 && target < vocab) at_target = z[target];
  return at_target;
}
__device__ inline double CrossEntropyOf(const SoftmaxSum& softmax, float at_target) {
  return log(softmax.sum) + (static_cast<double>(softmax.most) - at_target);
}

// Calls call.template operator()<kKind>() for that divergence. kSorted is an Error{kBug}.
template <class Call>
void WithDivergence(Divergence kind, const Call& call) {
  switch (kind) {
    case Divergence::kForwardKl:
      return call.template operator()<Divergence::kForwardKl>();
    case Divergence::kReverseKl:
      return call.template operator()<Divergence::kReverseKl>();
    case Divergence::kJsd:
      return call.template operator()<Divergence::kJsd>();
    case Divergence::kTotalVariation:
      return call.template operator()<Divergence::kTotalVariation>();
    case Divergence::kSorted:
      break;
  }
  RETORT_CHECK(false, "sorted has no outcomes of its own");
}

// The kSorted case of Distill. `most_blocks`: rows that are sorted at a time, each of which takes
// scratch from `memory`.
void DistillSorted(Queue& queue, Memory& memory, int64_t most_blocks,
                   const DistillSettings& settings, const DistillTokens& tokens, bool gradient,
                   const Tensor& logits, const Tensor& teacher);

}  // namespace retort::cuda
