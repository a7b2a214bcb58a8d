// SPDX-License-Identifier: Apache-2.0
// Examples as decoder input, with the tokens to be predicted.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/packing.h"
#include "model/batch.h"

namespace retort {

// Concatenated examples. The logits at row rows[i] of the batch's hidden state predict targets[i];
// this is the only place where labels are shifted.
struct LabelledBatch {
  Batch batch;
  std::vector<int32_t> rows, targets;  // [N], by example, then by index in it
  std::vector<size_t> begins = {0};    // example e has rows[begins[e]] ... rows[begins[e + 1] - 1]

  // Appends an example; its dropout masks are keyed by `index`.
  void Add(const Example& example, int64_t index);

  size_t examples() const { return begins.size() - 1; }
  // The values of example e, out of N values that correspond to rows.
  template <class T>
  std::span<const T> Of(size_t e, const std::vector<T>& values) const {
    return std::span(values).subspan(begins[e], begins[e + 1] - begins[e]);
  }
};

LabelledBatch MakeLabelledBatch(const MicroBatch& micro);

}  // namespace retort
