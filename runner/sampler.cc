// SPDX-License-Identifier: Apache-2.0
#include "runner/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace retort {
namespace {

struct Candidate {
  int32_t id;
  double weight;  // exp((logit - highest) / temperature)
};

bool Likelier(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
}

using Candidates = std::vector<Candidate>;

Candidates Weigh(std::span<const float> logits, double temperature) {
  const double highest = logits[static_cast<size_t>(Likeliest(logits))];
  Candidates out;
  out.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    // A weight of 0 can never be drawn; leaving it out here is most of the work saved.
    const double weight = std::exp((logits[i] - highest) / temperature);
    if (weight > 0) out.push_back({static_cast<int32_t>(i), weight});
  }
  return out;
}

void KeepTopK(Candidates& candidates, int64_t k) {
  if (k == 0 || k >= static_cast<int64_t>(candidates.size())) return;
  std::nth_element(candidates.begin(), candidates.begin() + k, candidates.end(), Likelier);
  candidates.resize(static_cast<size_t>(k));
}

double Sum(const Candidates& candidates) {
  double sum = 0;
  for (const Candidate& c : candidates) sum += c.weight;
  return sum;
}

// Sorts only as many of the likeliest as it takes to reach the share, in stretches that grow.
void KeepTopP(Candidates& candidates, double share) {
  if (share >= 1) return;
  const double wanted = share * Sum(candidates);
  const auto size = static_cast<int64_t>(candidates.size());
  double reached = 0;
  for (int64_t begin = 0, stretch = 64; begin < size; begin += stretch, stretch *= 4) {
    const auto first = candidates.begin() + begin;
    const auto end = candidates.begin() + std::min(size, begin + stretch);
    if (end != candidates.end()) std::nth_element(first, end, candidates.end(), Likelier);
    std::sort(first, end, Likelier);
    for (auto at = first; at != end; ++at) {
      reached += at->weight;
      if (reached >= wanted) {
        candidates.erase(at + 1, candidates.end());
        return;
      }
    }
  }
}

void KeepMinP(Candidates& candidates, double share) {
  if (share <= 0) return;
  double highest = 0;
  for (const Candidate& c : candidates) highest = std::max(highest, c.weight);
  std::erase_if(candidates, [&](const Candidate& c) { return c.weight < share * highest; });
}

int32_t Draw(Candidates& candidates, double uniform) {
  // By id, so that how the partial sorts left them plays no part. Mostly few, or in order already.
  const auto by_id = [](const Candidate& a, const Candidate& b) { return a.id < b.id; };
  if (!std::is_sorted(candidates.begin(), candidates.end(), by_id)) {
    std::sort(candidates.begin(), candidates.end(), by_id);
  }
  double left = uniform * Sum(candidates);
  for (const Candidate& c : candidates) {
    left -= c.weight;
    if (left < 0) return c.id;
  }
  return candidates.back().id;  // the sum rounded down
}

}  // namespace

void CheckSampling(const SamplingOptions& o) {
  if (!(o.temperature >= 0) || !std::isfinite(o.temperature)) {
    throw InputError("temperature must be 0 or more, not ", o.temperature);
  }
  if (o.top_k < 0) throw InputError("top_k must be 0 (off) or more, not ", o.top_k);
  if (!(o.top_p >= 0 && o.top_p <= 1))
    throw InputError("top_p must be within 0 and 1, not ", o.top_p);
  if (!(o.min_p >= 0 && o.min_p <= 1))
    throw InputError("min_p must be within 0 and 1, not ", o.min_p);
  if (o.max_tokens < 1) throw InputError("max_tokens must be at least 1, not ", o.max_tokens);
  for (const std::string& stop : o.stop) {
    if (stop.empty()) throw InputError("a stop text must not be empty");
  }
}

int32_t Likeliest(std::span<const float> logits) {
  RETORT_CHECK(!logits.empty(), "no logits");
  size_t best = 0;
  bool numbers = true;
  for (size_t i = 0; i < logits.size(); ++i) {
    numbers &= !std::isnan(logits[i]);
    if (logits[i] > logits[best]) best = i;
  }
  if (!numbers || std::isinf(logits[best])) {
    throw Failure("the model's logits are not finite numbers; its weights or adapter are damaged");
  }
  return static_cast<int32_t>(best);
}

int32_t SampleToken(std::span<const float> logits, const SamplingOptions& options,
                    uint64_t position) {
  if (options.temperature == 0) return Likeliest(logits);
  Candidates candidates = Weigh(logits, options.temperature);
  KeepTopK(candidates, options.top_k);
  KeepTopP(candidates, options.top_p);
  KeepMinP(candidates, options.min_p);
  RandomStream random(MakeKey(options.seed, RandomUse::kSample, position));
  return Draw(candidates, random.Uniform());
}

}  // namespace retort
