// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/sampling/dry.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace retort {

void Dry::MarkBreakers(const SamplingOptions& options, std::span<const int32_t> tokens) {
  while (breaks_.size() < tokens.size()) {
    const int32_t id = tokens[breaks_.size()];
    const std::string text = id < tokenizer_.vocab_size() ? tokenizer_.Bytes(id) : "";
    breaks_.push_back(std::ranges::any_of(
        options.dry_sequence_breakers,
        [&](const std::string& breaker) { return text.find(breaker) != std::string::npos; }));
  }
}

// The Z-algorithm (Gusfield 1997) on the reversed text.
void Dry::MatchEnds(std::span<const int32_t> tokens) {
  const size_t n = tokens.size();
  const auto at = [&](size_t i) { return tokens[n - 1 - i]; };
  matched_.assign(n, 0);
  size_t left = 0, right = 0;  // the match that reaches furthest
  for (size_t i = 1; i < n; ++i) {
    size_t length = i < right ? std::min(right - i, matched_[i - left]) : 0;
    while (i + length < n && at(length) == at(i + length)) ++length;
    matched_[i] = length;
    if (i + length > right) left = i, right = i + length;
  }
}

void Dry::Apply(const SamplingOptions& options, std::span<const int32_t> tokens,
                std::span<float> logits) {
  MarkBreakers(options, tokens);
  const int64_t last_n = options.dry_penalty_last_n;
  if (last_n >= 0) tokens = tokens.last(std::min(tokens.size(), static_cast<size_t>(last_n)));
  const size_t skipped = breaks_.size() - tokens.size();
  size_t unbroken = 0;  // tokens at the end without a breaker
  while (unbroken < tokens.size() && !breaks_[skipped + tokens.size() - 1 - unbroken]) ++unbroken;
  const auto allowed = static_cast<size_t>(options.dry_allowed_length);
  if (unbroken < allowed) return;
  MatchEnds(tokens);
  std::map<int32_t, size_t> longest;  // by the token that would prolong it
  for (size_t i = 1; i < tokens.size(); ++i) {
    const size_t length = std::min(matched_[i], unbroken);
    if (length < allowed) continue;
    size_t& most = longest[tokens[tokens.size() - i]];
    most = std::max(most, length);
  }
  constexpr double kMost = 1e9;
  for (const auto& [id, length] : longest) {
    if (static_cast<size_t>(id) >= logits.size()) continue;
    const double grown =
        std::pow(options.dry_base, static_cast<double>(length) - static_cast<double>(allowed));
    logits[static_cast<size_t>(id)] -=
        static_cast<float>(std::min(kMost, options.dry_multiplier * grown));
  }
}

}  // namespace retort
