// SPDX-License-Identifier: Apache-2.0
#include "train/cached_teacher.h"

#include <algorithm>

#include "base/error.h"

namespace retort {

CachedTeacher::~CachedTeacher() {
  if (expected_.valid()) expected_.wait();
}

std::vector<int64_t> CachedTeacher::PlacesOf(const MicroBatch& micro) const {
  std::vector<int64_t> places;
  for (const Example* row : micro.rows) places.push_back(row - examples_.data());
  return places;
}

void CachedTeacher::Expect(const Step& next) {
  std::vector<int64_t> places;
  for (const MicroBatch& micro : next.micro) std::ranges::copy(PlacesOf(micro), std::back_inserter(places));
  if (expected_.valid()) expected_.wait();
  expected_ = std::async(std::launch::async, [reader = reader_.get(), places = std::move(places)] {
    try {
      reader->Prefetch(places);
    } catch (const Error&) {
      // Look comes to the same fault, and says it.
    }
  });
}

TeacherView CachedTeacher::Look(const MicroBatch& micro, const TrainingBatch& data, float scale,
                                ops::DistillSums* sums) {
  rows_ = reader_->Read(PlacesOf(micro), options_.settings.temperature);
  const TopOutcomes outcomes{rows_.k, reader_->summary().key.vocab, rows_.ids, rows_.log_probs,
                             rows_.tail};
  return {ops::DistillTop(ObjectiveOf(options_, micro, data.targets), scale, outcomes, sums),
          nullptr,
          {}};
}

}  // namespace retort
