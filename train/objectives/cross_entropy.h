// SPDX-License-Identifier: Apache-2.0
// Cross-entropy with the labels; all tokens have the same weight.
#pragma once

#include "train/objectives/objective.h"

namespace retort {

class CrossEntropyObjective : public Objective {
 public:
  void Run(TrainingPass& pass, float scale, LossSums& sums) override;
};

}  // namespace retort
