// SPDX-License-Identifier: Apache-2.0
// The attention plan of a CUDA device: a layout, checked on the host, and the lists of work that
// kernels take their share from, in one tensor of i32 that one copy brings to the device.
#pragma once

#include <memory>
#include <vector>

#include "tensor/device.h"
#include "tensor/host_plan.h"

namespace retort::cuda {

// Queries, or keys, that a block computes together.
inline constexpr int kTile = 64;
// Runs with at most this many queries are computed by attention_decode.cu, their keys in parts of
// kPartKeys. Parts begin at multiples of it, so that a sequence's sums depend on it alone.
inline constexpr int kFewQueries = 4;
inline constexpr int kPartKeys = 256;

class CudaPlan final : public AttentionPlan {
 public:
  // A list of work within data(): `count` items of `width` numbers each, from element `at` on.
  struct List {
    int64_t at = 0, count = 0;
  };

  // Copies the layout. Throws Error{kBug} as HostPlan::Set does.
  void Set(Device& device, const AttentionLayout& layout);

  const HostPlan& host() const { return host_; }
  const Tensor& data() const { return data_; }
  List runs() const { return runs_; }              // [4]: the fields of AttentionRun
  List block_rows() const { return block_rows_; }  // [1]
  // [2]: a run, and the first query of a tile; the tile with the most keys first. `tiles` are those
  // of runs with many queries, all_tiles those and the others.
  List tiles() const { return {all_tiles_.at, tiles_}; }
  List all_tiles() const { return all_tiles_; }
  // [2]: a run with few queries, and the first key of a part; a run's parts one after the other.
  List parts() const { return parts_; }
  List few() const { return few_; }  // [2]: a run with few queries, and its first part
  int few_queries() const { return few_queries_; }  // the most of such a run
  int64_t most_keys() const { return most_keys_; }  // of a run with queries

  // Throws Error{kBug} when another device made the plan.
  static const CudaPlan& Of(const AttentionPlan& plan);

 private:
  HostPlan host_;
  Tensor data_;
  std::vector<int32_t> numbers_;  // those of data_
  List runs_, block_rows_, all_tiles_, parts_, few_;
  int64_t tiles_ = 0, most_keys_ = 0;
  int few_queries_ = 0;
};

}  // namespace retort::cuda
