// SPDX-License-Identifier: Apache-2.0
#include "train/objectives/cached_distillation.h"

namespace retort {

ops::LogitsLoss CachedDistillation::LossOf(const MicroBatch& micro, const LabelledBatch& data,
                                           float scale, const ops::DistillSums& sums) {
  std::vector<int64_t> places;
  for (const Example* row : micro.rows) places.push_back(row->index);
  reader_->Read(places, options_.settings.temperature, backend_.pool(), rows_);
  const TopOutcomes outcomes{rows_.k, reader_->summary().key.vocab, backend_.Upload(rows_.ids),
                             backend_.Upload(rows_.log_probs), backend_.Upload(rows_.tail)};
  return ops::DistillTop(Weighed(micro, data), scale, outcomes, sums);
}

}  // namespace retort
