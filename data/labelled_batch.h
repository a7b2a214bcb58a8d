// SPDX-License-Identifier: Apache-2.0
// Examples as a decoder is fed them, and what their labels ask of it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/packing.h"
#include "model/batch.h"

namespace retort {

// Examples laid end to end. The logits at rows[i] of the batch's hidden state predict targets[i]:
// labels are shifted here, once.
struct LabelledBatch {
  Batch batch;
  std::vector<int32_t> rows, targets;  // [N], by example and place
  std::vector<size_t> begins = {0};    // example e has rows[begins[e]] ... rows[begins[e + 1] - 1]

  // One more example; its dropout masks are keyed by `index`.
  void Add(const Example& example, int64_t index);

  size_t examples() const { return begins.size() - 1; }
  // What belongs to example e of N values, one for each of rows.
  template <class T>
  std::span<const T> Of(size_t e, const std::vector<T>& values) const {
    return std::span(values).subspan(begins[e], begins[e + 1] - begins[e]);
  }
};

LabelledBatch MakeLabelledBatch(const MicroBatch& micro);

}  // namespace retort
