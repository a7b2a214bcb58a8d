// SPDX-License-Identifier: Apache-2.0
// Mirostat 2 (Basu et al., "Mirostat: a neural text decoding algorithm that directly controls
// perplexity", 2021): holds the surprise of a text, in bits for each token, near tau.
#pragma once

#include "runner/engine/sampling/candidates.h"

namespace retort {

// Of one stream.
class Mirostat {
 public:
  Mirostat(double tau, double eta) : tau_(tau), eta_(eta), limit_(2 * tau) {}

  // Leaves out candidates that would surprise by more than the limit, draws, and moves the limit by
  // eta times what the drawn token's surprise, -log2 p among those left, is off tau.
  int32_t Draw(Candidates& candidates, double uniform);

 private:
  double tau_, eta_, limit_;
};

}  // namespace retort
