// SPDX-License-Identifier: Apache-2.0
#include "data/top_tokens.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace retort {
namespace {

// Keys order by logit, then the lower id first. Upper half: the float's bits mapped to an unsigned
// number of the same order; lower half: the id's complement.
uint64_t KeyOf(float logit, uint32_t id) {
  const uint32_t bits = std::bit_cast<uint32_t>(logit + 0.0f);  // -0 and 0 are one value
  const uint32_t ordered = bits & 0x80000000 ? ~bits : bits | 0x80000000;
  return uint64_t{ordered} << 32 | static_cast<uint32_t>(~id);
}

int32_t IdOf(uint64_t key) { return static_cast<int32_t>(~static_cast<uint32_t>(key)); }

}  // namespace

TopSelector::TopSelector(int64_t vocab, int64_t top_k, double temperature)
    : vocab_(vocab), kept_(std::min(top_k, vocab)), temperature_(temperature) {
  RETORT_CHECK(top_k > 0 && vocab > 0 && vocab <= std::numeric_limits<int32_t>::max(), top_k,
               " of ", vocab);
  RETORT_CHECK(temperature > 0 && std::isfinite(temperature), temperature);
}

// Collects keys that beat the worst of the best kept_ so far. When 2 * kept_ have been collected,
// the better half is kept. New candidates soon become rare.
void TopSelector::SelectIds(std::span<const float> logits, std::span<int32_t> ids) {
  if (kept_ == vocab_) return std::iota(ids.begin(), ids.end(), 0);
  const auto count = static_cast<size_t>(kept_);
  const auto keep_best = [&] {
    std::nth_element(keys_.begin(), keys_.begin() + kept_ - 1, keys_.end(), std::greater<>());
    keys_.resize(count);
  };
  keys_.clear();
  uint64_t worst = 0;  // of the kept keys; 0: every key passes
  for (size_t i = 0; i < logits.size(); ++i) {
    const uint64_t key = KeyOf(logits[i], static_cast<uint32_t>(i));
    if (key < worst) continue;
    keys_.push_back(key);
    if (keys_.size() < 2 * count) continue;
    keep_best();
    worst = keys_[count - 1];
  }
  keep_best();
  std::sort(keys_.begin(), keys_.end(), std::greater<>());
  std::transform(keys_.begin(), keys_.end(), ids.begin(), IdOf);
}

void TopSelector::Select(std::span<const float> logits, TopTokens& out, int64_t row) {
  RETORT_CHECK(static_cast<int64_t>(logits.size()) == vocab_, logits.size(), " logits of ", vocab_);
  RETORT_CHECK(out.k == kept_ && row >= 0 && row < out.n, "row ", row, " of ", out.n);
  const auto first = static_cast<size_t>(row * kept_), count = static_cast<size_t>(kept_);
  const std::span<int32_t> ids = std::span(out.ids).subspan(first, count);
  SelectIds(logits, ids);

  // Sums are relative to the largest logit. A NaN in any logit makes the total NaN.
  const double largest = *std::max_element(logits.begin(), logits.end());
  const double per_temperature = 1 / temperature_;
  const bool all = kept_ == vocab_;
  const float last =
      all ? -std::numeric_limits<float>::infinity() : logits[static_cast<size_t>(ids.back())];
  const auto last_id = static_cast<size_t>(ids.back());
  double kept = 0, left_out = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double mass = std::exp((logits[i] - largest) * per_temperature);
    const bool keep = logits[i] > last || (logits[i] == last && i <= last_id);
    (keep ? kept : left_out) += mass;
  }
  const double log_total = std::log(kept + left_out);
  if (!std::isfinite(log_total)) throw Failure("a teacher's logits hold NaN or infinity");
  for (size_t j = 0; j < count; ++j) {
    const double log_mass = (logits[static_cast<size_t>(ids[j])] - largest) * per_temperature;
    out.log_probs[first + j] = static_cast<float>(std::min(0.0, log_mass - log_total));
  }
  out.tail[static_cast<size_t>(row)] = static_cast<float>(std::log(left_out) - log_total);
}

}  // namespace retort
