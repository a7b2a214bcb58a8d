// SPDX-License-Identifier: Apache-2.0
// How a student's distribution is measured against its teacher's.
//
// P is the teacher's distribution, softmax(t / temperature), and Q the student's, softmax(z /
// temperature), both over the S ids that the two models share. With GKD's names (Agarwal et al.,
// arXiv 2306.13649):
//   forward_kl       KL(P || Q) = sum P log(P / Q)
//   reverse_kl       KL(Q || P)
//   jsd              beta KL(P || M) + (1 - beta) KL(Q || M),  M = beta P + (1 - beta) Q,  0 < beta
//   < 1 total_variation  1/2 sum |P - Q| sorted           sum |P sorted - Q sorted|, each in
//   falling order and the shorter one filled up with 0, over the
//                    whole of both vocabularies, whose ids need not agree: the universal logit
//                    distillation of Boizard et al. (arXiv 2402.12030)
// There is no factor of temperature squared; who wants one puts it in the weights.
//
// One gradient serves all but the values: with h_k = q_k dL/dq_k and H = sum_k h_k,
//   dL/dz_k = (h_k - q_k H) / temperature.
#pragma once

#include <cstdint>
#include <string_view>

#include "tensor/tensor.h"

namespace retort {

enum class Divergence : uint8_t { kForwardKl, kReverseKl, kJsd, kTotalVariation, kSorted };

// "forward_kl", "reverse_kl", "jsd", "total_variation", "sorted"; throws Error{kInput} naming
// these.
Divergence DivergenceNamed(std::string_view name);

struct DistillSettings {
  Divergence divergence = Divergence::kForwardKl;
  float beta = 0.5f;  // of jsd
  float temperature = 1;
};

// The N tokens of a chunk of logits. The objective is scale * sum_i losses[i] with
// losses[i] = ce_weight[i] ce[i] + kd_weight[i] kd[i]; a weight of 0 takes its term out, whatever
// that is.
struct DistillTokens {
  Tensor targets;               // i32 [N]
  Tensor ce_weight, kd_weight;  // f32 [N]
  float scale = 1;
  // Filled, f64 [N]: cross-entropy at temperature 1, the divergence, and the loss made of them.
  Tensor ce, kd, losses;
};

// The k most probable ids of a teacher, N rows of them, and what all others have together, which is
// one more outcome in P and in Q. Each row's exp(log_probs) and exp(tail) sum to 1; a tail of
// -infinity is none. Ids of a row differ.
struct TopOutcomes {
  int64_t kept = 0;   // k
  int64_t vocab = 0;  // S: ids from here on are outside both distributions
  Tensor ids;         // i32 [N,k]
  Tensor log_probs;   // f32 [N,k], at the settings' temperature
  Tensor tail;        // f32 [N]

  // Of rows [begin, begin + count).
  TopOutcomes Rows(int64_t begin, int64_t count) const;
};

// One token's loss, and whether the tokens of a call fit N rows of V logits (else Error{kBug}).
inline double DistillLoss(float ce_weight, double ce, float kd_weight, double kd) {
  return (ce_weight != 0 ? ce_weight * ce : 0) + (kd_weight != 0 ? kd_weight * kd : 0);
}
void CheckDistill(const DistillSettings& settings, const DistillTokens& tokens, int64_t rows);

}  // namespace retort
