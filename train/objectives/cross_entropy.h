// SPDX-License-Identifier: Apache-2.0
// Cross-entropy with the labels; all tokens have the same weight.
#pragma once

#include "train/objectives/objective.h"

namespace retort {

class CrossEntropyObjective : public Objective {
 public:
  // label_smoothing: the share of each target that is spread over all tokens, in [0, 1). The
  // reported losses include it.
  explicit CrossEntropyObjective(double label_smoothing = 0)
      : smoothing_(static_cast<float>(label_smoothing)) {}

  void Run(TrainingPass& pass, float scale, LossSums& sums) override;

 private:
  float smoothing_;
};

}  // namespace retort
