// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/sampling/mirostat.h"

#include <algorithm>
#include <cmath>

namespace retort {

int32_t Mirostat::Draw(Candidates& candidates, double uniform) {
  const Candidate likeliest = *std::ranges::min_element(candidates, Candidate::Likelier);
  const double sum = WeightOf(candidates);
  std::erase_if(candidates, [&](const Candidate& c) {
    return c.id != likeliest.id && -std::log2(c.weight / sum) > limit_;
  });
  const Candidate& drawn = DrawFrom(candidates, uniform);
  const double surprise = -std::log2(drawn.weight / WeightOf(candidates));
  limit_ -= eta_ * (surprise - tau_);
  return drawn.id;
}

}  // namespace retort
