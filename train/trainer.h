// SPDX-License-Identifier: Apache-2.0
// One training step: sample, forward, backward, optimise.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/packing.h"
#include "model/model.h"
#include "train/objectives/objective.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace retort {

struct TrainerOptions {
  AdamWOptions optimizer;
  Schedule schedule;
  uint64_t seed = 1;
  bool checkpoint_blocks = false;  // gradient checkpointing
  int64_t part_tokens = 512;       // that are computed at once (CutMicroBatch)
};

// A line of metrics.jsonl.
struct StepMetrics {
  int64_t step = 0;  // from 1
  double epoch = 0;
  double loss = 0;        // sum of the step's losses over the objective's terms
  double ce = 0, kd = 0;  // what it is made of
  double hidden = 0;      // the term between hidden states, where there is one
  double lr = 0;
  double grad_norm = 0;  // before clipping
  int64_t tokens = 0;    // no padding exists
  int64_t loss_tokens = 0;
  double seconds = 0;
  int64_t generated_tokens = 0;   // by the student, on-policy
  double generation_seconds = 0;  // of `seconds`
};

class Trainer {
 public:
  // Trains the adapter when there is one, else the model's own parameters, and what the objective
  // brings along. Everything is borrowed; `adapter` may be null.
  Trainer(const Model& model, Adapter* adapter, BatchStream& stream, const TrainerOptions& options,
          Objective& objective);

  // The next step; nullopt when the data has ended. Throws Error{kFailure} when loss or gradient is
  // not finite, before any parameter has changed.
  std::optional<StepMetrics> Step();

  int64_t steps_done() const { return optimizer_.steps(); }
  AdamWOptimizer& optimizer() { return optimizer_; }
  BatchStream& stream() { return stream_; }
  const Model& model() const { return model_; }
  Adapter* adapter() { return adapter_; }
  Objective& objective() { return objective_; }

 private:
  // The losses of a step so far and the squares of its gradients: places of one f64 tensor on the
  // device, which is the one thing that a step reads back.
  struct StepSums {
    explicit StepSums(Backend& backend);
    Tensor all;
    LossSums losses;
    Tensor squares;
  };
  // Adds the gradients of a part of a micro-batch, its losses times `scale`, and these without it
  // to `sums`.
  void ForwardBackward(const MicroBatch& part, float scale, LossSums& sums);

  const Model& model_;
  Adapter* adapter_;
  BatchStream& stream_;
  TrainerOptions options_;
  Objective& objective_;
  AdamWOptimizer optimizer_;
};

}  // namespace retort
