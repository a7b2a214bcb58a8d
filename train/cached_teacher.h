// SPDX-License-Identifier: Apache-2.0
// A teacher that has spoken before: its most probable outcomes come from a folder that `retort teach` wrote.
#pragma once

#include "data/teacher_cache.h"
#include "train/teacher.h"

namespace retort {

class CachedTeacher : public Teacher {
 public:
  // `reader` holds the rows of `examples`, by their place (it has been checked); the steps' rows point into
  // `examples`, which is borrowed, as is the pool that unpacks them.
  CachedTeacher(std::unique_ptr<TeacherCacheReader> reader, const std::vector<Example>& examples,
                const TeacherOptions& options, ThreadPool& pool)
      : reader_(std::move(reader)), examples_(examples), options_(options), pool_(pool) {}

  TeacherView Look(const MicroBatch& micro, const TrainingBatch& data, float scale,
                   ops::DistillSums* sums) override;

 private:
  std::unique_ptr<TeacherCacheReader> reader_;
  const std::vector<Example>& examples_;
  const TeacherOptions options_;
  ThreadPool& pool_;
  TopTokens rows_;  // of the present micro-batch
};

}  // namespace retort
