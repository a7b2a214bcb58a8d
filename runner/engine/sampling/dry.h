// SPDX-License-Identifier: Apache-2.0
// DRY, "don't repeat yourself" (p-e-w, text-generation-webui, 2024): penalises tokens that would
// prolong a sequence that the text has had before.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runner/engine/sampling/options.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// Of one stream.
class Dry {
 public:
  explicit Dry(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // If the end of `tokens`, of n >= dry_allowed_length tokens, has occurred earlier, the token that
  // followed there loses dry_multiplier * dry_base ^ (n - dry_allowed_length), for the largest such
  // n. A sequence ends at a token whose text has one of dry_sequence_breakers. Takes time in
  // proportion to the last dry_penalty_last_n tokens, which are looked at.
  void Apply(const SamplingOptions& options, std::span<const int32_t> tokens,
             std::span<float> logits);

 private:
  // Of every token of the text: whether it ends sequences.
  void MarkBreakers(const SamplingOptions& options, std::span<const int32_t> tokens);
  // For each token, how many before and with it equal as many at the end.
  void MatchEnds(std::span<const int32_t> tokens);

  const Tokenizer& tokenizer_;
  std::vector<bool> breaks_;
  std::vector<size_t> matched_;
};

}  // namespace retort
