// SPDX-License-Identifier: Apache-2.0
// Which keys the tokens of a batch see. A layout is plain data that a caller builds; a plan is what
// a device makes of it, once a pass (AttentionKernels::Plan). All layers of a pass and its tape
// share the plan.
#pragma once

#include <cstdint>
#include <vector>

namespace retort {

// One run of consecutive queries among a batch's tokens and the keys that it sees: a row of a
// training batch, or one stream of the runner. Query i stands at position first_position + i and
// sees keys 0 ... first_position + i, of a layer with a window W the last W of them, itself
// included. Keys and values lie in blocks of layout.block_size rows; key p is row
// block_rows[first_block + p / block_size] + p % block_size. Rows lie in a tensor [rows, K*D], or
// in pages [pages, K, P, D], where row r is row r % P of page r / P for each head: a head's keys
// follow each other, so that one query reads them as a stream. There a block is a page, block_size
// = P.
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
