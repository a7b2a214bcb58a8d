// SPDX-License-Identifier: Apache-2.0
// One training step: sample, forward, backward, optimise.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/random.h"
#include "data/packing.h"
#include "model/model.h"
#include "train/objectives/objective.h"
#include "train/optimizer.h"
#include "train/rows_at_fault.h"
#include "train/schedule.h"

namespace retort {

struct TrainerOptions {
  OptimizerOptions optimizer;
  Schedule schedule;
  uint64_t seed = 1;
  double noise = 0;                // NEFTune's alpha (ForwardPass::noise)
  bool checkpoint_blocks = false;  // gradient checkpointing
  int64_t part_tokens = 512;       // tokens per part of a micro-batch (CutMicroBatch)
  RowName name_row = {};           // for errors; null: rows are not named
};

// A line of metrics.jsonl.
struct StepMetrics {
  int64_t step = 0;  // from 1
  double epoch = 0;
  double loss = 0;        // sum of the step's losses divided by Objective::Terms
  double ce = 0, kd = 0;  // its components, without weights
  double hidden = 0;      // the term between hidden states; 0 without one
  double lr = 0;
  double grad_norm = 0;  // before clipping
  int64_t tokens = 0;    // there is no padding
  int64_t loss_tokens = 0;
  double seconds = 0;
  int64_t generated_tokens = 0;   // by the student, on-policy
  double generation_seconds = 0;  // of `seconds`
  std::vector<Extra> extras;      // Objective::TakeExtras
};

class Trainer {
 public:
  // Trains the adapter if there is one, otherwise the model's own parameters; in both cases also
  // the objective's parameters. Everything is borrowed; `adapter` may be null.
  Trainer(const Model& model, Adapter* adapter, BatchStream& stream, const TrainerOptions& options,
          Objective& objective);

  // The next step; nullopt at the end of the data. Throws Error{kFailure} when the loss, the
  // divergence from the teacher or the gradient norm is not finite, before any parameter changes.
  std::optional<StepMetrics> Step();

  // The last step's rows with the highest losses (train/rows_at_fault.h), under the weights as they
  // are now; "" if rows are not named.
  std::string WorstRowsOfLastStep() const;

  int64_t steps_done() const { return optimizer_.steps(); }
  Optimizer& optimizer() { return optimizer_; }
  BatchStream& stream() { return stream_; }
  const Model& model() const { return model_; }
  Adapter* adapter() { return adapter_; }
  Objective& objective() { return objective_; }

 private:
  // The step's losses so far and its squared gradient norm. They are slices of one f64 tensor on
  // the device, so that a step needs only one download.
  struct StepSums {
    explicit StepSums(Backend& backend);
    Tensor all;
    LossSums losses;
    Tensor squares;
  };
  // Throws if the step's loss, its divergence or its gradient is not finite.
  void CheckNumbers(const StepMetrics& m) const;
  // A seed for the next step's random numbers of that use.
  uint64_t StepSeed(RandomUse use) const;
  // Forward and backward pass of one part of a micro-batch. Accumulates the gradients of its losses
  // times `scale`, and adds the losses without `scale` to `sums`.
  void ForwardBackward(const MicroBatch& part, float scale, LossSums& sums);

  const Model& model_;
  Adapter* adapter_;
  BatchStream& stream_;
  TrainerOptions options_;
  Objective& objective_;
  Optimizer optimizer_;
  StepBatch last_;
};

}  // namespace retort
