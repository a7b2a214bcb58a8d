// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/sampling/options.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace retort {
namespace {

constexpr double kMostPenalty = 2;  // as OpenAI's API has it
// Beyond these, logits overflow to no use.
constexpr double kLeastRepetition = 0.01, kMostRepetition = 100;
constexpr int64_t kMostBreakers = 64;

void CheckWithin(const char* name, double value, double least, double most) {
  if (!(value >= least && value <= most))
    throw InputError(name, " must be within ", least, " and ", most, ", not ", value);
}

void CheckFinite(const char* name, double value) {
  if (!(value >= 0) || !std::isfinite(value))
    throw InputError(name, " must be 0 or more, not ", value);
}

void CheckAbove(const char* name, double value, double most) {
  if (!(value > 0 && value <= most))
    throw InputError(name, " must be above 0 and at most ", most, ", not ", value);
}

void CheckLastN(const char* name, int64_t value) {
  if (value < -1) throw InputError(name, " must be -1 (all), 0 (off) or more, not ", value);
}

}  // namespace

void CheckSampling(const SamplingOptions& o) {
  CheckFinite("temperature", o.temperature);
  if (o.top_k < 0) throw InputError("top_k must be 0 (off) or more, not ", o.top_k);
  CheckWithin("top_p", o.top_p, 0, 1);
  CheckWithin("min_p", o.min_p, 0, 1);
  CheckAbove("typical_p", o.typical_p, 1);
  CheckFinite("top_n_sigma", o.top_n_sigma);
  CheckWithin("xtc_probability", o.xtc_probability, 0, 1);
  CheckWithin("xtc_threshold", o.xtc_threshold, 0, 1);
  CheckFinite("dynatemp_range", o.dynatemp_range);
  CheckFinite("dynatemp_exponent", o.dynatemp_exponent);
  CheckFinite("mirostat_tau", o.mirostat_tau);
  CheckWithin("mirostat_eta", o.mirostat_eta, 0, 1);
  CheckWithin("repetition_penalty", o.repetition_penalty, kLeastRepetition, kMostRepetition);
  CheckWithin("presence_penalty", o.presence_penalty, -kMostPenalty, kMostPenalty);
  CheckWithin("frequency_penalty", o.frequency_penalty, -kMostPenalty, kMostPenalty);
  CheckLastN("repeat_last_n", o.repeat_last_n);
  CheckFinite("dry_multiplier", o.dry_multiplier);
  CheckWithin("dry_base", o.dry_base, 1, 100);
  if (o.dry_allowed_length < 1)
    throw InputError("dry_allowed_length must be at least 1, not ", o.dry_allowed_length);
  CheckLastN("dry_penalty_last_n", o.dry_penalty_last_n);
  if (std::ssize(o.dry_sequence_breakers) > kMostBreakers)
    throw InputError("dry_sequence_breakers may hold at most ", kMostBreakers, " texts");
  if (o.max_tokens < 0) throw InputError("max_tokens must be 0 or more, not ", o.max_tokens);
  if (o.min_tokens < 0 || o.min_tokens > o.max_tokens) {
    throw InputError("min_tokens must be within 0 and max_tokens, which is ", o.max_tokens,
                     ", not ", o.min_tokens);
  }
  const auto is_empty = [](const std::string& text) { return text.empty(); };
  if (std::ranges::any_of(o.stop, is_empty)) throw InputError("a stop text must not be empty");
  if (std::ranges::any_of(o.dry_sequence_breakers, is_empty))
    throw InputError("dry_sequence_breakers must not hold an empty text");
}

}  // namespace retort
