// SPDX-License-Identifier: Apache-2.0
// Which keys the tokens of a batch attend to. A layout is plain data that a caller builds; a plan
// is the device's form of it, made once per pass (AttentionKernels::Plan). All layers of a pass and
// its tape share the plan.
#pragma once

#include <cstdint>
#include <vector>

namespace retort {

// A run of consecutive queries among a batch's tokens, and its keys: a row of a training batch, or
// one sequence of the runner. Query i has position first_position + i and attends to keys
// 0 ... first_position + i; in a layer with a window W, to the last W of them, its own included.
//
// Keys and values are stored in blocks of layout.block_size rows; key p is row
// block_rows[first_block + p / block_size] + p % block_size. Rows are in a tensor [rows, K*D], or
// in pages [pages, K, P, D], where row r is row r % P of page r / P for each head. In pages the
// keys of one head are contiguous, so that a single query reads them sequentially; a block is then
// a page, block_size = P.
struct AttentionRun {
  int32_t first_query;  // index among the batch's tokens
  int32_t queries;
  int32_t first_position;
  int32_t first_block;  // index into block_rows
};
struct AttentionLayout {
  std::vector<AttentionRun> runs;
  std::vector<int32_t> block_rows;
  int32_t block_size = 1;
};

// Opaque: only the device that made it can read it.
class AttentionPlan {
 public:
  virtual ~AttentionPlan() = default;
};

}  // namespace retort
