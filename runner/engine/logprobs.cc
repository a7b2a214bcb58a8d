// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/logprobs.h"

#include <algorithm>
#include <cmath>

namespace retort {

double LogSumExp(std::span<const float> logits) {
  const double most = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - most);
  return most + std::log(sum);
}

TokenLogprobs LogprobsOf(std::span<const float> logits, int32_t id, int64_t top) {
  const double log_sum = LogSumExp(logits);
  TokenLogprobs out{id, logits[static_cast<size_t>(id)] - log_sum, {}};

  const auto count = static_cast<size_t>(std::clamp<int64_t>(top, 0, std::ssize(logits)));
  std::vector<int32_t> likeliest;  // a heap with the least likely one first
  likeliest.reserve(count + 1);
  const auto likelier = [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  for (int32_t i = 0; count > 0 && i < std::ssize(logits); ++i) {
    if (likeliest.size() == count && !likelier(i, likeliest.front())) continue;
    likeliest.push_back(i);
    std::ranges::push_heap(likeliest, likelier);
    if (likeliest.size() <= count) continue;
    std::ranges::pop_heap(likeliest, likelier);
    likeliest.pop_back();
  }
  std::ranges::sort_heap(likeliest, likelier);
  out.top.reserve(count);
  for (const int32_t i : likeliest)
    out.top.emplace_back(i, logits[static_cast<size_t>(i)] - log_sum);
  return out;
}

}  // namespace retort
