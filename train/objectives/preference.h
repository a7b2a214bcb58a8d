// SPDX-License-Identifier: Apache-2.0
// Learning from preferences. A row's score is the sum of log p over the tokens of its answer
// (Example::answer) under the trained model, less the same under the reference: the model as the
// run began. Here z is beta times a difference of scores, and s the logistic function.
//
//   dpo   -log s(beta (score(chosen) - score(rejected)))                     (arXiv 2305.18290)
//   kto   1 - s(beta (score - KL)) for a wanted answer, weight (1 - s(beta (KL - score))) for
//         another; KL: the mean score, at least 0, of answers under prompts that are not theirs:
//         each row's with the answer of the row before it in its micro-batch, or of the step's row
//         before it if it is alone there; 0 in a step of one row               (arXiv 2402.01306)
//   orpo  no reference: the mean loss of the chosen rows' tokens, plus
//         -beta log s(log odds(chosen) - log odds(rejected)), where odds(y) = p / (1 - p) and
//         log p is the mean over the answer's tokens                           (arXiv 2403.07691)
//
// dpo and orpo take rows in joined pairs, the chosen first; kto takes them singly.
#pragma once

#include <memory>
#include <unordered_map>

#include "train/objectives/objective.h"

namespace retort {

struct PreferenceOptions {
  enum class Method : uint8_t { kDpo, kOrpo, kKto };
  Method method = Method::kDpo;
  double beta = 0.1;
  double weight = 1;  // kto: of answers that are not wanted
};

// "dpo", "orpo", "kto"; throws Error{kInput} naming the known ones.
PreferenceOptions::Method PreferenceNamed(const std::string& name);

// Everything is borrowed. `adapter` is the trained one, or null when every weight is trained (orpo
// only); `reference` is the reference's adapter, null for the base itself.
std::unique_ptr<Objective> MakePreference(const PreferenceOptions& options, const Model& model,
                                          const Adapter* adapter, const Adapter* reference);

}  // namespace retort
