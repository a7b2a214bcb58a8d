// SPDX-License-Identifier: Apache-2.0
// A teacher that has spoken before: its most probable outcomes come from a folder that `retort teach` wrote.
#pragma once

#include "data/teacher_cache.h"
#include "train/teacher.h"

namespace retort {

class CachedTeacher : public Teacher {
 public:
  // `reader` holds the rows of `examples`, by their place (it has been checked); the steps' rows point into
  // `examples`, which is borrowed, as is the student's backend, whose threads unpack them.
  CachedTeacher(std::unique_ptr<TeacherCacheReader> reader, const std::vector<Example>& examples,
                const TeacherOptions& options, Backend& student)
      : reader_(std::move(reader)), examples_(examples), options_(options), backend_(student) {}

  TeacherView Look(const MicroBatch& micro, const TrainingBatch& data, float scale,
                   const ops::DistillSums& sums) override;

 private:
  std::unique_ptr<TeacherCacheReader> reader_;
  const std::vector<Example>& examples_;
  const TeacherOptions options_;
  Backend& backend_;  // the student's
  TopTokens rows_;  // of the present micro-batch
};

}  // namespace retort
