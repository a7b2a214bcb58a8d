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
#include "train/teacher.h"

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
  double loss = 0;        // sum of the step's token losses over loss_tokens
  double ce = 0, kd = 0;  // what it is made of
  double hidden = 0;          // the term between hidden states, where there is one
  double lr = 0;
  double grad_norm = 0;  // before clipping
  int64_t tokens = 0;    // no padding exists
  int64_t loss_tokens = 0;
  double seconds = 0;
  int64_t generated_tokens = 0;  // by the student, on-policy
  double generation_seconds = 0;  // of `seconds`
};

class Trainer {
 public:
  // Trains the adapter when there is one, else the model's own parameters; with a teacher also what it has to be
  // learnt beside. Everything is borrowed; `teacher` may be null.
  Trainer(const Model& model, Adapter* adapter, BatchStream& stream, const TrainerOptions& options,
          Teacher* teacher = nullptr);

  // The next step; nullopt when the data has ended. Throws Error{kFailure} when loss or gradient is not
  // finite, before any parameter has changed.
  std::optional<StepMetrics> Step();

  int64_t steps_done() const { return optimizer_.steps(); }
  AdamWOptimizer& optimizer() { return optimizer_; }
  BatchStream& stream() { return stream_; }
  const Model& model() const { return model_; }
  Adapter* adapter() { return adapter_; }
  Teacher* teacher() { return teacher_; }

 private:
  // Sums over tokens of the losses of a step so far, and of the squares of its gradients, f64 [1] each: places of one
  // tensor on the device, of which a step reads all at once, and nothing else.
  struct StepSums {
    explicit StepSums(Backend& backend);
    Tensor all, loss, hidden, squares;
    ops::DistillSums parts;
  };
  // Adds the gradients of a part of a micro-batch, and its losses to `sums`.
  void ForwardBackward(const MicroBatch& micro, int64_t loss_tokens, StepSums& sums);

  const Model& model_;
  Adapter* adapter_;
  BatchStream& stream_;
  TrainerOptions options_;
  Teacher* teacher_;
  AdamWOptimizer optimizer_;
};

}  // namespace retort
