// SPDX-License-Identifier: Apache-2.0
#include "data/labelled_batch.h"

namespace retort {

void LabelledBatch::Add(const Example& example, int64_t index) {
  const auto begin = static_cast<int32_t>(batch.tokens());
  batch.AddRow(example.ids, index);
  for (size_t i = 1; i < example.labels.size(); ++i) {
    if (example.labels[i] == kNoLoss) continue;
    rows.push_back(begin + static_cast<int32_t>(i) - 1);
    targets.push_back(example.labels[i]);
  }
  begins.push_back(rows.size());
}

LabelledBatch MakeLabelledBatch(const MicroBatch& micro) {
  LabelledBatch out;
  for (size_t r = 0; r < micro.rows.size(); ++r) out.Add(*micro.rows[r], micro.order[r]);
  return out;
}

}  // namespace retort
