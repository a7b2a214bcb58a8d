// SPDX-License-Identifier: Apache-2.0
// Guesses that a text goes on as it did before (Saxena, "Prompt lookup decoding", 2023): for
// answers that repeat parts of their prompt.
#pragma once

#include "runner/engine/draft/drafter.h"

namespace retort {

// Looks for the latest place where the last tokens stood before, as many of them as possible, and
// guesses what followed there. Keeps nothing between steps.
class NgramDrafter : public Drafter {
 public:
  static constexpr int64_t kLeast = 2, kMost = 8;  // tokens that must be, and may be, the same

  void Propose(std::span<DraftRequest> requests) override;
};

}  // namespace retort
