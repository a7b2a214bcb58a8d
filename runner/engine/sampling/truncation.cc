// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/sampling/truncation.h"

#include <algorithm>
#include <cmath>

namespace retort {

void KeepWithinSigma(Candidates& candidates, double n) {
  const auto count = static_cast<double>(candidates.size());
  double mean = 0, variance = 0, most = candidates.front().logit;
  for (const Candidate& c : candidates) {
    mean += c.logit / count;
    most = std::max<double>(most, c.logit);
  }
  for (const Candidate& c : candidates) variance += (c.logit - mean) * (c.logit - mean) / count;
  const double least = most - n * std::sqrt(variance);
  std::erase_if(candidates, [&](const Candidate& c) { return c.logit < least; });
}

void KeepTypical(Candidates& candidates, double typical_p) {
  const double sum = WeightOf(candidates);
  const auto surprise = [&](const Candidate& c) { return -std::log(c.weight / sum); };
  double entropy = 0;
  for (const Candidate& c : candidates) entropy += c.weight > 0 ? c.weight / sum * surprise(c) : 0;
  std::vector<std::pair<double, const Candidate*>> order;  // the most typical first
  order.reserve(candidates.size());
  for (const Candidate& c : candidates) order.emplace_back(std::abs(surprise(c) - entropy), &c);
  std::ranges::sort(order);
  double share = 0;
  size_t kept = 0;
  while (kept < order.size() && share < typical_p) share += order[kept++].second->weight / sum;
  Candidates typical;
  typical.reserve(kept);
  for (size_t i = 0; i < kept; ++i) typical.push_back(*order[i].second);
  std::ranges::sort(typical, {}, &Candidate::id);
  candidates = std::move(typical);
}

void KeepMinP(Candidates& candidates, double min_p) {
  const float most = std::ranges::max_element(candidates, {}, &Candidate::weight)->weight;
  std::erase_if(candidates, [&](const Candidate& c) { return c.weight < min_p * most; });
}

void ExcludeTopChoices(Candidates& candidates, double threshold, double probability,
                       double uniform) {
  if (uniform >= probability) return;
  const double least = threshold * WeightOf(candidates);
  const Candidate* last = nullptr;  // the least likely of the top choices
  for (const Candidate& c : candidates) {
    if (c.weight >= least && (!last || Candidate::Likelier(*last, c))) last = &c;
  }
  if (!last) return;
  const Candidate kept = *last;
  std::erase_if(candidates, [&](const Candidate& c) { return Candidate::Likelier(c, kept); });
}

}  // namespace retort
