// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/sampling/dynamic_temperature.h"

#include <algorithm>
#include <cmath>

namespace retort {

void WeighDynamically(Candidates& candidates, double temperature, double range, double exponent) {
  if (candidates.size() < 2) return;
  const double sum = WeightOf(candidates);
  double entropy = 0;
  for (const Candidate& c : candidates) {
    const double p = c.weight / sum;
    if (p > 0) entropy -= p * std::log(p);
  }
  const double unsure = entropy / std::log(static_cast<double>(candidates.size()));
  const double least = std::max(0.0, temperature - range), most = temperature + range;
  constexpr double kCoolest = 1e-6;  // all but greedy
  const double chosen =
      std::max(kCoolest, least + (most - least) * std::pow(std::clamp(unsure, 0.0, 1.0), exponent));
  const float highest = std::ranges::max_element(candidates, {}, &Candidate::logit)->logit;
  for (Candidate& c : candidates)
    c.weight = static_cast<float>(std::exp((c.logit - highest) / chosen));
}

}  // namespace retort
