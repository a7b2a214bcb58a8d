// SPDX-License-Identifier: Apache-2.0
// The decoder's input: tokens of several rows, concatenated without padding.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tensor/backend.h"

namespace retort {

struct Batch {
  std::vector<int32_t> ids;        // [T]
  std::vector<int32_t> positions;  // [T] within its row or stream
  AttentionLayout layout;          // which tokens form a run, and which keys are visible to it
  // Keys of the dropout masks and the noise (training only): the row's index in the data order, the
  // token's in its row.
  std::vector<int64_t> row_index;  // [T]
  std::vector<int32_t> row_token;  // [T]

  // Where the keys of a sequence are cached, how many tokens each run's sequence may grow to: some
  // ropes depend on it (RopeScaling::by_length), and cached keys must not change. Empty: as many as
  // there are.
  std::vector<int32_t> lengths;

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t LengthOf(const AttentionRun& run) const {
    return lengths.empty() ? run.first_position + run.queries
                           : lengths[static_cast<size_t>(&run - layout.runs.data())];
  }

  // Removes all tokens; the allocated memory is kept.
  void Clear() {
    ids.clear(), positions.clear(), row_index.clear(), row_token.clear(), lengths.clear();
    layout.runs.clear(), layout.block_rows.clear();
  }

  // Appends a training row: positions from 0, attention within the row, over the batch's own keys
  // and values.
  void AddRow(std::span<const int32_t> row_ids, int64_t index) {
    const auto begin = static_cast<int32_t>(ids.size()),
               count = static_cast<int32_t>(row_ids.size());
    layout.block_size = 1 << 30;
    layout.runs.push_back({begin, count, 0, static_cast<int32_t>(layout.block_rows.size())});
    layout.block_rows.push_back(begin);
    for (int32_t i = 0; i < count; ++i) {
      ids.push_back(row_ids[static_cast<size_t>(i)]);
      positions.push_back(i);
      row_index.push_back(index);
      row_token.push_back(i);
    }
  }
};

// The runner's cache for the decoder: the batch's keys and values are stored at `rows`, and
// attention reads the cache (batch.layout.block_rows are rows of the cache).
struct CacheView {
  // By layer: the planes that its attention declares, [pages, heads, P, dim] in A, f16 or bf16.
  std::vector<std::vector<Tensor>> planes;
  std::vector<int32_t> rows;  // [T]
};

// What attention stores per token in a cache: `heads` vectors of `dim` values.
struct CachePlane {
  int64_t heads, dim;
  bool operator==(const CachePlane&) const = default;
};

// A batch uploaded to the device: made once per pass, shared by all layers and by the tape.
struct DeviceBatch {
  Tensor ids, positions;        // i32 [T]
  Tensor row_index, row_token;  // i64, i32 [T]: only with dropout or noise
  Tensor cache_rows;            // i32 [T]: only with a cache
  std::shared_ptr<const AttentionPlan> plan;
};

}  // namespace retort
