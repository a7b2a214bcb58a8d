// SPDX-License-Identifier: Apache-2.0
// An objective computes the loss of a step. The trainer depends on no particular objective.
//
// An objective receives the parts of a step one by one: whole groups of rows (data/packing.h), and
// a pass of the trained model over them. In the order that it needs, it may
//   * run another model on the part first, while the trained model holds no activations: a teacher;
//   * look at the losses of whole rows before it weighs their tokens: TrainingPass::TokenLosses;
//   * put a loss over the logits on the tape, each token with its own weight: TrainingPass::Losses;
//   * put terms between hidden states on the tape, through an observer of the pass;
//   * add parameters of its own, which are trained with the model.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "autograd/ops.h"
#include "data/packing.h"
#include "train/objectives/training_pass.h"

namespace retort {

// Running sums over a step's losses, not yet divided by Objective::Terms. f64 [1] each, on the
// device.
struct LossSums {
  Tensor loss;             // the trained loss over the logits
  Tensor hidden;           // the trained terms between hidden states
  ops::DistillSums parts;  // components of `loss`, without weights; only for the metrics
};

// A further figure of a step or an evaluation, by its name in metrics.jsonl.
using Extra = std::pair<std::string, double>;

class Objective {
 public:
  virtual ~Objective() = default;

  // Called once per step, before it is computed. May replace the step's rows by other rows, which
  // must live until the next call. Returns the number of tokens that were generated for these.
  virtual int64_t Prepare(StepBatch& /*step*/, int64_t /*number*/) { return 0; }

  // The divisor of the step's summed losses: its tokens that carry loss, or, for example, its
  // groups.
  virtual int64_t Terms(const StepBatch& step) const { return step.loss_tokens; }

  // Runs `pass` over its part and puts the losses on the tape, each times `scale` (1 / Terms).
  // Without a tape it only computes. Adds the losses, without `scale`, to `sums`. What the pass
  // borrows from the objective must live until the next call.
  virtual void Run(TrainingPass& pass, float scale, LossSums& sums) = 0;

  // Further figures of what was computed since the last call.
  virtual std::vector<Extra> TakeExtras() { return {}; }

  // The teacher's name, for errors; "" without one.
  virtual std::string teacher() const { return ""; }

  // Parameters that are trained with the model and discarded after training.
  virtual std::vector<Parameter*> parameters() { return {}; }
};

}  // namespace retort
