// SPDX-License-Identifier: Apache-2.0
// Time and memory of one layer's attention over one row, forward and gradient, for rows of
// increasing length.
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

// Operations count unmasked pairs of a query and a key: 4 H D per pair for the forward pass (scores
// and weighted sum), 10 H D for the gradient, which recomputes the scores.
struct AttentionResult {
  int64_t tokens;
  double tokens_per_second;  // forward and gradient together, the median
  double forward_flops_per_second, gradient_flops_per_second;
  double fraction_of_peak;  // both together, relative to the f32 GEMM peak
  int64_t workspace_bytes;  // peak memory of a call without its inputs and outputs
  std::string device;
  int threads;
};

void BenchAttention(const AttentionBench& options,
                    const std::function<void(const AttentionResult&)>& on_result);

}  // namespace retort
