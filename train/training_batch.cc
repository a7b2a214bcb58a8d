// SPDX-License-Identifier: Apache-2.0
#include "train/training_batch.h"

namespace retort {

TrainingBatch MakeTrainingBatch(const MicroBatch& micro) {
  TrainingBatch out;
  for (size_t r = 0; r < micro.rows.size(); ++r) {
    const Example& row = *micro.rows[r];
    const auto begin = static_cast<int32_t>(out.batch.tokens());
    out.batch.AddRow(row.ids, micro.order[r]);
    for (size_t i = 1; i < row.labels.size(); ++i) {
      if (row.labels[i] == kNoLoss) continue;
      out.rows.push_back(begin + static_cast<int32_t>(i) - 1);
      out.targets.push_back(row.labels[i]);
    }
  }
  return out;
}

std::vector<MicroBatch> CutMicroBatch(const MicroBatch& micro, int64_t tokens) {
  std::vector<MicroBatch> parts;
  for (size_t r = 0; r < micro.rows.size(); ++r) {
    const int64_t size = micro.rows[r]->size();
    if (parts.empty() || parts.back().tokens + size > tokens) parts.emplace_back();
    MicroBatch& part = parts.back();
    part.rows.push_back(micro.rows[r]);
    part.order.push_back(micro.order[r]);
    part.tokens += size;
    part.loss_tokens += micro.rows[r]->LossTokens();
  }
  return parts;
}

}  // namespace retort
