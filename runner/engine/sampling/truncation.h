// SPDX-License-Identifier: Apache-2.0
// Leaves out candidates. At least one always remains.
#pragma once

#include "runner/engine/sampling/candidates.h"

namespace retort {

// Top-n-sigma (Tang et al., "Top-nσ: not all logits are you need", 2024): keeps logits of at least
// max - n * sigma, where sigma is the standard deviation of all candidates' logits.
void KeepWithinSigma(Candidates& candidates, double n);

// Locally typical sampling (Meister et al., 2022): with the entropy H = -sum p log p, keeps the
// tokens with the least |-log p - H|, up to the share `typical_p` of the probability.
void KeepTypical(Candidates& candidates, double typical_p);

// Min-p (Nguyen et al., 2024): keeps tokens of at least min_p times the largest probability.
void KeepMinP(Candidates& candidates, double min_p);

// XTC, "exclude top choices" (p-e-w, text-generation-webui, 2024): of the tokens with a probability
// of at least `threshold`, keeps the least likely one alone; all others stay. Applied to the share
// of positions that `probability` says: where `uniform` is below it.
void ExcludeTopChoices(Candidates& candidates, double threshold, double probability,
                       double uniform);

}  // namespace retort
