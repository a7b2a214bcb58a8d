// SPDX-License-Identifier: Apache-2.0
// A teacher that has spoken before: its most probable outcomes come from a folder that `retort
// teach` wrote.
#pragma once

#include <memory>

#include "data/teacher_cache.h"
#include "train/objectives/distillation.h"

namespace retort {

class CachedDistillation : public Distillation {
 public:
  // `reader` holds the rows of `examples`, by their place (it has been checked); the steps' rows
  // point into `examples`, which is borrowed, as is the student's backend.
  CachedDistillation(std::unique_ptr<TeacherCacheReader> reader,
                     const std::vector<Example>& examples, const DistillationOptions& options,
                     Backend& backend)
      : Distillation(options, backend), reader_(std::move(reader)), examples_(examples) {}

  ops::LogitsLoss LossOf(const MicroBatch& micro, const LabelledBatch& data, float scale,
                         const ops::DistillSums& sums) override;

 private:
  std::unique_ptr<TeacherCacheReader> reader_;
  const std::vector<Example>& examples_;
  TopTokens rows_;  // of the present part
};

}  // namespace retort
