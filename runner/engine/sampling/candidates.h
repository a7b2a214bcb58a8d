// SPDX-License-Identifier: Apache-2.0
// The tokens that may still be drawn.
#pragma once

#include <cstdint>
#include <vector>

namespace retort {

struct Candidate {
  int32_t id;
  float logit, weight;  // weight: in proportion to the token's probability

  static bool Likelier(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  }
};
using Candidates = std::vector<Candidate>;  // ordered by id, never empty

inline double WeightOf(const Candidates& candidates) {
  double sum = 0;
  for (const Candidate& c : candidates) sum += c.weight;
  return sum;
}

// The candidate at `uniform` in [0, 1) of the whole weight.
inline const Candidate& DrawFrom(const Candidates& candidates, double uniform) {
  double left = uniform * WeightOf(candidates);
  for (const Candidate& c : candidates) {
    left -= c.weight;
    if (left < 0) return c;
  }
  return candidates.back();  // only reached through rounding
}

}  // namespace retort
