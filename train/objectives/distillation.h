// SPDX-License-Identifier: Apache-2.0
// Learning from what a teacher says of each token, beside the label or instead of it.
//
//   loss = (1 - weight) * cross-entropy + weight * divergence [* temperature^2]
//
// summed over the tokens that carry loss, a token of a generated answer (Example::generated)
// without its cross-entropy.
#pragma once

#include <cstdint>
#include <vector>

#include "train/objectives/objective.h"

namespace retort {

struct DistillationOptions {
  DistillSettings settings;
  double weight = 0.5;
  bool scale_t2 = false;  // times temperature squared: gradients then do not fade as it grows
};

class Distillation : public Objective {
 public:
  // The teacher reads first, while the student holds no activations.
  void Run(TrainingPass& pass, float scale, LossSums& sums) override;

  // What the teacher makes of a part: a loss that weighs every token by `scale`, and adds its terms
  // to `sums`. Borrows from this object, until the next call.
  virtual ops::LogitsLoss LossOf(const MicroBatch& micro, const LabelledBatch& data, float scale,
                                 const ops::DistillSums& sums) = 0;

 protected:
  // `backend` is the student's; borrowed.
  Distillation(const DistillationOptions& options, Backend& backend)
      : options_(options), backend_(backend) {}

  // The weights of a micro-batch's tokens that carry loss. A token that is not `matched` has no
  // divergence; empty: all are.
  ops::DistillObjective Weighed(const MicroBatch& micro, const LabelledBatch& data,
                                const std::vector<bool>& matched = {}) const;

  // Terms between hidden states: who observes the student's pass, and once that is done, what is
  // put on the tape for it. Adds its sum over the tokens to `sum`.
  virtual const Observer* observer() { return nullptr; }
  virtual void HiddenTerms(TrainingPass& /*pass*/, float /*scale*/, Tensor& /*sum*/) {}

  const DistillationOptions options_;
  Backend& backend_;
};

}  // namespace retort
