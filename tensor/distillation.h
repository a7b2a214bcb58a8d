// SPDX-License-Identifier: Apache-2.0
// Divergences between a student's distribution and its teacher's.
//
// P is the teacher's distribution, softmax(t / temperature), and Q the student's, softmax(z /
// temperature), both over the S ids that the two models share. With GKD's names (Agarwal et al.,
// arXiv 2306.13649):
//   forward_kl       KL(P || Q) = sum P log(P / Q)
//   reverse_kl       KL(Q || P)
//   jsd              beta KL(P || M) + (1 - beta) KL(Q || M),  M = beta P + (1 - beta) Q,
//                    0 < beta < 1
//   total_variation  1/2 sum |P - Q|
//   sorted           sum |P sorted - Q sorted|, both in descending order, the shorter one padded
//                    with 0, over both complete vocabularies, whose ids need not agree: the
//                    universal logit distillation of Boizard et al. (arXiv 2402.12030)
// There is no factor of temperature squared; a caller that needs one includes it in the weights.
//
// All divergences share one form of gradient: with h_k = q_k dL/dq_k and H = sum_k h_k,
//   dL/dz_k = (h_k - q_k H) / temperature.
#pragma once

#include <cstdint>
#include <string_view>

#include "tensor/tensor.h"

namespace retort {

enum class Divergence : uint8_t { kForwardKl, kReverseKl, kJsd, kTotalVariation, kSorted };

// "forward_kl", "reverse_kl", "jsd", "total_variation" or "sorted". Throws Error{kInput} that lists
// these names.
Divergence DivergenceNamed(std::string_view name);

struct DistillSettings {
  Divergence divergence = Divergence::kForwardKl;
  float beta = 0.5f;  // of jsd
  float temperature = 1;
};

// The N tokens of a chunk of logits. The objective is scale * sum_i losses[i] with
// losses[i] = ce_weight[i] ce[i] + kd_weight[i] kd[i]. A weight of 0 removes its term even if the
// term is infinite or NaN.
struct DistillTokens {
  Tensor targets;               // i32 [N]
  Tensor ce_weight, kd_weight;  // f32 [N]
  float scale = 1;
  // Outputs, f64 [N]: cross-entropy at temperature 1, the divergence, and their weighted sum.
  Tensor ce, kd, losses;
};

// The k most probable ids of a teacher for N rows, and the total probability of all other ids (the
// tail), which is one more outcome in P and in Q. In each row exp(log_probs) and exp(tail) sum to
// 1; a tail of -infinity means no tail. The ids of a row are distinct.
struct TopOutcomes {
  int64_t kept = 0;   // k
  int64_t vocab = 0;  // S: ids from here on are outside both distributions
  Tensor ids;         // i32 [N,k]
  Tensor log_probs;   // f32 [N,k], at the settings' temperature
  Tensor tail;        // f32 [N]

  // The outcomes of rows [begin, begin + count).
  TopOutcomes Rows(int64_t begin, int64_t count) const;
};

// One token's loss.
inline double DistillLoss(float ce_weight, double ce, float kd_weight, double kd) {
  return (ce_weight != 0 ? ce_weight * ce : 0) + (kd_weight != 0 ? kd_weight * kd : 0);
}
// Throws Error{kBug} when the tokens do not fit `rows` rows of logits.
void CheckDistill(const DistillSettings& settings, const DistillTokens& tokens, int64_t rows);

}  // namespace retort
