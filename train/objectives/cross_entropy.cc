// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/cross_entropy.h"

namespace retort {

void CrossEntropyObjective::Run(TrainingPass& pass, float scale, LossSums& sums) {
  const Tensor losses =
      pass.Losses(pass.Hidden(), ops::CrossEntropy(pass.targets(), scale, smoothing_));
  Backend& k = pass.context().backend;
  k.AddSum(losses, 1, sums.loss);
  k.AddSum(losses, 1, sums.parts.ce);
}

}  // namespace retort
