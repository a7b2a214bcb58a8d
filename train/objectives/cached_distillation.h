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
  // `reader` holds the outcomes of the steps' rows, by Example::index (already checked). The
  // student's `backend` is borrowed.
  CachedDistillation(std::unique_ptr<TeacherCacheReader> reader, const DistillationOptions& options,
                     Backend& backend)
      : Distillation(options, backend), reader_(std::move(reader)) {}

  ops::LogitsLoss LossOf(const MicroBatch& micro, const LabelledBatch& data, float scale,
                         const ops::DistillSums& sums) override;

 private:
  std::unique_ptr<TeacherCacheReader> reader_;
  TopTokens rows_;  // of the current part
};

}  // namespace retort
