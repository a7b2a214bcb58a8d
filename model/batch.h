// SPDX-License-Identifier: Apache-2.0
// What the decoder is fed: tokens of several rows laid end to end. Padding does not exist.
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
  AttentionLayout layout;          // which tokens are one run and which keys they see
  // Where dropout masks come from (training only): the row's index in the data order, the token's
  // in its row.
  std::vector<int64_t> row_index;  // [T]
  std::vector<int32_t> row_token;  // [T]

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }

  // Without tokens again; what they took is kept.
  void Clear() {
    ids.clear(), positions.clear(), row_index.clear(), row_token.clear();
    layout.runs.clear(), layout.block_rows.clear();
  }

  // Lays one more training row at the end: positions from 0, attention within the row, keys and
  // values those of the batch itself.
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

// The runner's cache as the decoder sees it: the batch's keys and values are stored at `rows` and
// attention reads the cache (batch.layout's block_rows are its rows).
struct CacheView {
  std::vector<std::vector<Tensor>>
      planes;  // by layer, those that its mixer asks for: [pages, heads, P, dim], A, f16 or bf16
  std::vector<int32_t> rows;  // [T]
};

// What a mixer keeps of each token in a cache.
struct CachePlane {
  int64_t heads, dim;
  bool operator==(const CachePlane&) const = default;
};

// A batch as a device reads it: made once a pass, shared by all layers and by the tape.
struct DeviceBatch {
  Tensor ids, positions;        // i32 [T]
  Tensor row_index, row_token;  // i64, i32 [T]: where something is dropped
  Tensor cache_rows;            // i32 [T]: with a cache
  std::shared_ptr<const AttentionPlan> plan;
};

}  // namespace retort
