// SPDX-License-Identifier: Apache-2.0
// The next token out of logits.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace retort {

struct SamplingOptions {
  double temperature = 0;  // 0: greedy; the others act only above 0
  int64_t top_k = 0;       // 0: off
  double top_p = 1;        // 1: off
  double min_p = 0;        // 0: off; relative to the likeliest token
  uint64_t seed = 1;
  int64_t max_tokens = 256;
  std::vector<std::string> stop;  // texts that end a generation and are left out of it
  std::vector<int32_t> stop_ids;  // tokens that do, beside the model's own
};

// Throws Error{kInput} naming the option that is out of its range.
void CheckSampling(const SamplingOptions& options);

// The likeliest token; of equals the lowest id. Throws Error{kFailure} on logits that are not finite.
int32_t Likeliest(std::span<const float> logits);

// One token out of softmax(logits / temperature), cut down in this order: the top_k likeliest; of
// what they share, the fewest likeliest whose probabilities reach top_p; those at least min_p times
// as likely as the likeliest. Equals are taken by lowest id, and one token always stays. The random
// number is a function of the seed and `position` alone (the token's place in its stream).
int32_t SampleToken(std::span<const float> logits, const SamplingOptions& options,
                    uint64_t position);

}  // namespace retort
