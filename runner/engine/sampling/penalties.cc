// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/sampling/penalties.h"

#include <algorithm>

namespace retort {

void Penalties::Count(std::span<const int32_t> tokens, size_t vocab) {
  for (const int32_t id : seen_) counts_[static_cast<size_t>(id)] = 0;
  seen_.clear();
  counts_.resize(vocab);
  for (const int32_t id : tokens) {
    if (static_cast<size_t>(id) >= vocab) continue;  // the model's, but not the tokenizer's
    if (counts_[static_cast<size_t>(id)]++ == 0) seen_.push_back(id);
  }
}

void Penalties::Apply(const SamplingOptions& options, std::span<const int32_t> tokens,
                      size_t answer, std::span<float> logits) {
  if (options.repeat_last_n >= 0)
    tokens = tokens.last(std::min(tokens.size(), static_cast<size_t>(options.repeat_last_n)));
  if (options.repetition_penalty != 1) {
    Count(tokens, logits.size());
    const auto r = static_cast<float>(options.repetition_penalty);
    for (const int32_t id : seen_) {
      float& logit = logits[static_cast<size_t>(id)];
      logit = logit > 0 ? logit / r : logit * r;
    }
  }
  if (options.presence_penalty == 0 && options.frequency_penalty == 0) return;
  Count(tokens.last(std::min(tokens.size(), answer)), logits.size());
  for (const int32_t id : seen_) {
    const auto at = static_cast<size_t>(id);
    logits[at] -=
        static_cast<float>(options.presence_penalty + options.frequency_penalty * counts_[at]);
  }
}

}  // namespace retort
