// SPDX-License-Identifier: Apache-2.0
// Learning from a teacher's distribution at each token, in addition to the label or instead of it.
//
//   loss = (1 - weight) * cross-entropy + weight * divergence [* temperature^2]
//
// summed over the tokens that carry loss. Tokens of a generated answer (Example::generated) have no
// cross-entropy term.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/objectives/objective.h"

namespace retort {

struct DistillationOptions {
  DistillSettings settings;
  double weight = 0.5;
  bool scale_t2 = false;  // times temperature^2: keeps gradients from shrinking as it grows
  std::string teacher;    // its name, for errors
};

class Distillation : public Objective {
 public:
  // Runs the teacher first, while the student holds no activations.
  void Run(TrainingPass& pass, float scale, LossSums& sums) override;

  std::string teacher() const override { return options_.teacher; }

  // The loss of a part against the teacher, each token times `scale`. Evaluating it adds its terms
  // to `sums`. Borrows from this object until the next call.
  virtual ops::LogitsLoss LossOf(const MicroBatch& micro, const LabelledBatch& data, float scale,
                                 const ops::DistillSums& sums) = 0;

 protected:
  // `backend` is the student's; borrowed.
  Distillation(const DistillationOptions& options, Backend& backend)
      : options_(options), backend_(backend) {}

  // The settings, labels and weights of a micro-batch's tokens that carry loss. Tokens for which
  // `matched` is false have no divergence; empty: all are matched.
  ops::DistillObjective Weighed(const MicroBatch& micro, const LabelledBatch& data,
                                const std::vector<bool>& matched = {}) const;

  // Terms between hidden states: the observer of the student's pass, and, called after the pass, a
  // function that records the terms on the tape and adds their sum over the tokens to `sum`.
  virtual const Observer* observer() { return nullptr; }
  virtual void HiddenTerms(TrainingPass& /*pass*/, float /*scale*/, Tensor& /*sum*/) {}

  const DistillationOptions options_;
  Backend& backend_;
};

}  // namespace retort
