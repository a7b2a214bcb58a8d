// SPDX-License-Identifier: Apache-2.0
// One training step: sample, forward, backward, optimise.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/packing.h"
#include "model/model.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace retort {

struct TrainerOptions {
  AdamWOptions optimizer;
  Schedule schedule;
  uint64_t seed = 1;
  bool checkpoint_blocks = false;  // gradient checkpointing
};

// A line of metrics.jsonl.
struct StepMetrics {
  int64_t step = 0;  // from 1
  double epoch = 0;
  double loss = 0;        // sum of the step's token losses over loss_tokens
  double ce = 0, kd = 0;  // what it is made of
  double lr = 0;
  double grad_norm = 0;  // before clipping
  int64_t tokens = 0;    // no padding exists
  int64_t loss_tokens = 0;
  double seconds = 0;
};

class Trainer {
 public:
  // Trains the adapter when there is one, else the model's own parameters. Everything is borrowed.
  Trainer(const Model& model, Adapter* adapter, BatchStream& stream, const TrainerOptions& options);

  // The next step; nullopt when the data has ended. Throws Error{kFailure} when loss or gradient is not
  // finite, before any parameter has changed.
  std::optional<StepMetrics> Step();

  int64_t steps_done() const { return optimizer_.steps(); }
  AdamWOptimizer& optimizer() { return optimizer_; }
  BatchStream& stream() { return stream_; }
  const Model& model() const { return model_; }
  Adapter* adapter() { return adapter_; }

 private:
  // Adds the gradients of one micro-batch and returns its summed loss.
  double ForwardBackward(const MicroBatch& micro, int64_t loss_tokens);

  const Model& model_;
  Adapter* adapter_;
  BatchStream& stream_;
  TrainerOptions options_;
  AdamWOptimizer optimizer_;
};

// A micro-batch as the decoder is fed it, and the places and targets of the tokens that carry loss: logits at place
// rows[i] predict targets[i] (labels are shifted here, once).
struct TrainingBatch {
  Batch batch;
  std::vector<int32_t> rows, targets;
};
TrainingBatch MakeTrainingBatch(const MicroBatch& micro, int64_t window);

}  // namespace retort
