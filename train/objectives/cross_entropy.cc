// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/cross_entropy.h"

namespace retort {

void CrossEntropyObjective::Run(TrainingPass& pass, float scale, LossSums& sums) {
  const double loss =
      pass.Losses(pass.Hidden(), ops::CrossEntropy(pass.data().targets, scale));
  sums.loss += loss;
  sums.parts.ce += loss;
}

}  // namespace retort
