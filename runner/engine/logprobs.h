// SPDX-License-Identifier: Apache-2.0
// How likely a model found a token.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace retort {

struct TokenLogprobs {
  int32_t id = 0;
  double logprob = 0;
  std::vector<std::pair<int32_t, double>> top;  // the likeliest tokens, the first one first
};

// log(sum(exp(logits))), in double.
double LogSumExp(std::span<const float> logits);

// The log-softmax, in double, of the logits at `id` and at the `top` largest of them; of equal
// ones, the lowest ids.
TokenLogprobs LogprobsOf(std::span<const float> logits, int32_t id, int64_t top);

}  // namespace retort
