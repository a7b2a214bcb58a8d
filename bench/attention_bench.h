// SPDX-License-Identifier: Apache-2.0
// One layer's attention over one row, forward and gradient, from short rows to long ones: how time
// and memory grow.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "model/spec/architecture.h"

namespace retort {

struct AttentionBench {
  AttentionSpec attention;
  std::string device = "auto";
  int threads = 0;
  int64_t tokens = 0;  // 0: 512, 1024, ... 16384
  int64_t repeat = 5;
};

// Operations are those of the pairs of a query and a key that it sees: 4 H D a pair forward (scores
// and mixing), 10 H D for the gradient, which computes the scores again.
struct AttentionResult {
  int64_t tokens;
  double tokens_per_second;  // forward and gradient together, the median
  double forward_flops_per_second, gradient_flops_per_second;
  double fraction_of_peak;  // both together, of the f32 GEMM peak
  int64_t workspace_bytes;  // the most that a call held beside its inputs and outputs
  std::string device;
  int threads;
};

void BenchAttention(const AttentionBench& options,
                    const std::function<void(const AttentionResult&)>& on_result);

}  // namespace retort
