// SPDX-License-Identifier: Apache-2.0
// A teacher that has spoken before: its most probable outcomes come from a folder that `retort teach` wrote.
#pragma once

#include <future>

#include "data/teacher_cache.h"
#include "train/teacher.h"

namespace retort {

class CachedTeacher : public Teacher {
 public:
  // `reader` holds the rows of `examples`, by their place (it has been checked); the steps' rows point into
  // `examples`, which is borrowed.
  CachedTeacher(std::unique_ptr<TeacherCacheReader> reader, const std::vector<Example>& examples,
                const TeacherOptions& options)
      : reader_(std::move(reader)), examples_(examples), options_(options) {}

  ~CachedTeacher() override;

  // Reading and unpacking a step's rows takes one thread as long whatever the trainer's number of threads: it goes on
  // beside the step before.
  void Expect(const Step& next) override;
  TeacherView Look(const MicroBatch& micro, const TrainingBatch& data, float scale,
                   ops::DistillSums* sums) override;

 private:
  std::vector<int64_t> PlacesOf(const MicroBatch& micro) const;

  std::unique_ptr<TeacherCacheReader> reader_;
  const std::vector<Example>& examples_;
  const TeacherOptions options_;
  TopTokens rows_;             // of the present micro-batch
  std::future<void> expected_;  // the next step's
};

}  // namespace retort
