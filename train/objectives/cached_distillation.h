// SPDX-License-Identifier: Apache-2.0
// A teacher that has spoken before: its most probable outcomes come from a folder that `retort teach` wrote.
#pragma once

#include <memory>

#include "data/teacher_cache.h"
#include "train/objectives/distillation.h"

namespace retort {

class CachedDistillation : public Distillation {
 public:
  // `reader` holds the rows of `examples`, by their place (it has been checked); the steps' rows point into
  // `examples`, which is borrowed, as is the pool that unpacks them.
  CachedDistillation(std::unique_ptr<TeacherCacheReader> reader,
                     const std::vector<Example>& examples, const DistillationOptions& options,
                     ThreadPool& pool)
      : Distillation(options), reader_(std::move(reader)), examples_(examples), pool_(pool) {}

  ops::LogitsLoss LossOf(const MicroBatch& micro, const LabelledBatch& data, float scale,
                         ops::DistillSums* sums) override;

 private:
  std::unique_ptr<TeacherCacheReader> reader_;
  const std::vector<Example>& examples_;
  ThreadPool& pool_;
  TopTokens rows_;  // of the present part
};

}  // namespace retort
