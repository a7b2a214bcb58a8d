// SPDX-License-Identifier: Apache-2.0
// Penalties on tokens that a text has already.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runner/engine/sampling/options.h"

namespace retort {

// Its buffers are kept between calls.
class Penalties {
 public:
  static bool Needed(const SamplingOptions& options) {
    return options.repetition_penalty != 1 || options.presence_penalty != 0 ||
           options.frequency_penalty != 0;
  }
  // repetition_penalty r (Keskar et al., "CTRL", 2019): the logits of all tokens of the prompt and
  // the answer are divided by r if they are above 0, and else multiplied by it.
  // frequency_penalty and presence_penalty (OpenAI's API reference): count * frequency and, where
  // count is not 0, presence is subtracted, by the count of a token in the answer.
  // Both look at the last repeat_last_n tokens. answer: how many of `tokens` are generated.
  void Apply(const SamplingOptions& options, std::span<const int32_t> tokens, size_t answer,
             std::span<float> logits);

 private:
  // Counts `tokens`; `seen_` are those that occur.
  void Count(std::span<const int32_t> tokens, size_t vocab);

  std::vector<int32_t> counts_, seen_;
};

}  // namespace retort
