// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/sampling/logits_processor.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace retort {

bool LogitsProcessor::Needed(const SamplingOptions& options) {
  return Penalties::Needed(options) || options.dry_multiplier > 0 || !options.logit_bias.empty() ||
         options.min_tokens > 0 || options.ignore_eos;
}

LogitsProcessor::LogitsProcessor(const SamplingOptions& options, std::span<const int32_t> ends,
                                 const Tokenizer& tokenizer)
    : options_(options), ends_(ends.begin(), ends.end()) {
  ends_.insert(ends_.end(), options.stop_ids.begin(), options.stop_ids.end());
  if (options.dry_multiplier > 0) dry_.emplace(tokenizer);
}

void LogitsProcessor::Apply(std::span<const int32_t> tokens, size_t answer,
                            std::span<float> logits) {
  const auto leave_out = [&](const std::vector<int32_t>& ids) {
    for (const int32_t id : ids) {
      if (static_cast<size_t>(id) < logits.size())
        logits[static_cast<size_t>(id)] = -std::numeric_limits<float>::infinity();
    }
  };
  for (const auto& [id, bias] : options_.logit_bias) {
    if (static_cast<size_t>(id) < logits.size()) logits[static_cast<size_t>(id)] += bias;
  }
  if (Penalties::Needed(options_)) penalties_.Apply(options_, tokens, answer, logits);
  if (dry_) dry_->Apply(options_, tokens, logits);
  const bool early = std::cmp_less(answer, options_.min_tokens);
  if (early || options_.ignore_eos) leave_out(ends_);
  if (early) leave_out(options_.stop_token_ids);
  if (std::ranges::all_of(logits, [](float logit) { return std::isinf(logit) && logit < 0; })) {
    throw InputError("logit_bias, min_tokens and ignore_eos leave no token to choose");
  }
}

}  // namespace retort
