// SPDX-License-Identifier: Apache-2.0
// What gives a step its loss. The trainer reads no loss itself and knows no kind of objective.
//
// An objective is given one part of a step after another: whole groups of rows (data/packing.h),
// and a pass of the trained model over them. In the order that it needs, it may
//   * let others read the part first, while the trained model holds no activations yet: a teacher;
//   * look at the whole rows' losses before it weighs their tokens: TrainingPass::TokenLosses;
//   * put a loss over the logits on the tape, each token with its own weight: TrainingPass::Losses;
//   * put terms between hidden states on the tape, through an observer of the pass;
//   * bring parameters of its own to be trained beside the model.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/ops.h"
#include "data/packing.h"
#include "train/objectives/training_pass.h"

namespace retort {

// Sums over a step so far, of losses that are not yet divided by Objective::Terms: f64 [1] each, on
// the device.
struct LossSums {
  Tensor loss;             // what is trained, but for `hidden`
  Tensor hidden;           // terms between hidden states, which are trained too
  ops::DistillSums parts;  // what `loss` is made of, without weights; for the metrics alone
};

class Objective {
 public:
  virtual ~Objective() = default;

  // Once a step, before it is computed. May put other rows in the place of the step's own, which
  // live until the next call. Returns the number of tokens that were generated for it.
  virtual int64_t Prepare(StepBatch& /*step*/, int64_t /*number*/) { return 0; }

  // What the step's summed losses are divided by: its tokens that carry loss, or, say, its groups.
  virtual int64_t Terms(const StepBatch& step) const { return step.loss_tokens; }

  // Reads the part by `pass` and puts its losses on the tape, each times `scale`, which is 1 /
  // Terms; without a tape only computes. Adds the losses, without `scale`, to `sums`. What it lends
  // to the pass lives until the next call.
  virtual void Run(TrainingPass& pass, float scale, LossSums& sums) = 0;

  // What is to be trained beside the model and thrown away afterwards.
  virtual std::vector<Parameter*> parameters() { return {}; }
};

}  // namespace retort
