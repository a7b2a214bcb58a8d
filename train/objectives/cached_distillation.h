// SPDX-License-Identifier: Apache-2.0
// Distillation from a cached teacher: its most probable outcomes are read from a folder written by
// `retort teach`.
#pragma once

#include <memory>

#include "data/teacher_cache.h"
#include "train/objectives/distillation.h"

namespace retort {

class CachedDistillation : public Distillation {
 public:
  // `reader` holds the outcomes of `examples`, by index (already checked). The steps' rows must
  // point into `examples`. `examples` and the student's `backend` are borrowed.
  CachedDistillation(std::unique_ptr<TeacherCacheReader> reader,
                     const std::vector<Example>& examples, const DistillationOptions& options,
                     Backend& backend)
      : Distillation(options, backend), reader_(std::move(reader)), examples_(examples) {}

  ops::LogitsLoss LossOf(const MicroBatch& micro, const LabelledBatch& data, float scale,
                         const ops::DistillSums& sums) override;

 private:
  std::unique_ptr<TeacherCacheReader> reader_;
  const std::vector<Example>& examples_;
  TopTokens rows_;  // of the current part
};

}  // namespace retort
