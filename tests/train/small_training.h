// SPDX-License-Identifier: Apache-2.0
// Twenty training steps of a small model on any device, to compare devices.
#pragma once

#include <vector>

#include "data/example.h"
#include "tensor/backend.h"
#include "train/update_rule.h"

namespace retort {

inline constexpr int64_t kSmallVocab = 61;
inline constexpr int kSmallSteps = 20;

// Twelve rows of 5 to 16 tokens, loss from the fourth on.
std::vector<Example> SmallExamples();

struct SmallOutcome {
  std::vector<double> losses, norms;
  std::vector<std::vector<float>> start;   // each parameter before the first step
  std::vector<std::vector<float>> end;     // and after the last
  std::vector<std::vector<float>> states;  // what the optimiser holds then
};

struct SmallTraining {
  bool adapter = true;   // else every weight
  bool teacher = false;  // beside an adapter: another model's logits and hidden states
  bool checkpoint = false;
  double dropout = 0;
  OptimizerOptions::Kind optimizer = OptimizerOptions::Kind::kAdamW;
  double noise = 0;
  bool nf4 = false;  // the frozen matrices, with an adapter
};

SmallOutcome TrainSmall(Backend& backend, const SmallTraining& setting);

}  // namespace retort
