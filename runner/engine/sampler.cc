// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "runner/engine/sampling/dynamic_temperature.h"
#include "runner/engine/sampling/truncation.h"
#include "tensor/logits.h"

namespace retort {

namespace {

// Whether there is more to do than top_k, top_p and min_p.
bool HasRareSteps(const SamplingOptions& o) {
  return o.typical_p < 1 || o.top_n_sigma > 0 || o.xtc_probability > 0 || o.dynatemp_range > 0 ||
         o.mirostat;
}

}  // namespace

int32_t Sampler::Sample(std::span<const float> logits, const SamplingOptions& options,
                        uint64_t position, Mirostat* mirostat) {
  logits_ = logits;
  const float highest = Highest();
  drawn_ = options.temperature == 0 ? Drawn::kHighest : Drawn::kAmongCandidates;
  if (options.temperature == 0) return FirstOf(highest);

  // Not 0 and not infinite, so that products with infinity or 0 are not NaN.
  using Limits = std::numeric_limits<float>;
  const double temperature = options.dynatemp_range > 0 ? 1 : options.temperature;  // it comes last
  const auto factor =
      static_cast<float>(std::clamp<double>(1 / temperature, Limits::min(), Limits::max()));
  weights_.resize(logits.size());
  sums_.resize(most_.size());
  ExpWeights(HostIsa(), logits, highest, factor, weights_, sums_);
  RandomStream random(MakeKey(options.seed, RandomUse::kSample, position));
  const double uniform = random.Uniform();
  if (HasRareSteps(options)) return SampleInSteps(options, random, uniform, mirostat);

  const auto k = static_cast<size_t>(options.top_k);
  const bool few = k > 0 && k < logits.size();
  if (few) {
    GatherTopK(k);
    if (options.top_p < 1) KeepShare(options.top_p * WeightOf(candidates_));
  } else if (options.top_p < 1) {
    const double wanted = options.top_p * std::accumulate(sums_.begin(), sums_.end(), 0.0);
    GatherShare(wanted, highest, factor);
    KeepShare(wanted);
  } else if (options.min_p > 0) {
    // Slightly below the exact bound, because the weights are rounded; erase_if below is exact.
    Gather(static_cast<float>(highest + (std::log(options.min_p) - 1e-3) / factor));
  } else {
    drawn_ = Drawn::kAmongAll;
    return DrawFromAll(uniform);
  }
  std::erase_if(candidates_, [&](const Candidate& c) { return c.weight < options.min_p; });
  return DrawFrom(candidates_, uniform).id;
}

int32_t Sampler::SampleInSteps(const SamplingOptions& options, RandomStream& random, double uniform,
                               Mirostat* mirostat) {
  Gather(std::numeric_limits<float>::lowest());
  if (options.top_n_sigma > 0) KeepWithinSigma(candidates_, options.top_n_sigma);
  const auto k = static_cast<size_t>(options.top_k);
  if (k > 0 && k < candidates_.size()) KeepTopK(k);
  if (options.typical_p < 1) KeepTypical(candidates_, options.typical_p);
  if (options.top_p < 1) KeepShare(options.top_p * WeightOf(candidates_));
  if (options.min_p > 0) KeepMinP(candidates_, options.min_p);
  if (options.xtc_probability > 0) {
    ExcludeTopChoices(candidates_, options.xtc_threshold, options.xtc_probability,
                      random.Uniform());
  }
  if (options.dynatemp_range > 0) {
    WeighDynamically(candidates_, options.temperature, options.dynatemp_range,
                     options.dynatemp_exponent);
  }
  return mirostat ? mirostat->Draw(candidates_, uniform) : DrawFrom(candidates_, uniform).id;
}

TokenLogprobs Sampler::DrawnLogprobs(int32_t id, int64_t top) {
  TokenLogprobs out{id, 0, {}};
  if (drawn_ == Drawn::kHighest) {
    if (top > 0) out.top.emplace_back(FirstOf(*std::ranges::max_element(most_)), 0);
    return out;
  }
  if (drawn_ == Drawn::kAmongAll) Gather(std::numeric_limits<float>::lowest());
  const double all = std::log(WeightOf(candidates_));
  const auto of = [all](const Candidate& c) { return std::log(c.weight) - all; };
  const auto chosen = std::ranges::find(candidates_, id, &Candidate::id);
  if (chosen != candidates_.end()) out.logprob = of(*chosen);
  order_ = candidates_;
  const auto end = order_.begin() + std::min<int64_t>(top, std::ssize(order_));
  std::partial_sort(order_.begin(), end, order_.end(), Candidate::Likelier);
  for (auto at = order_.begin(); at != end && at->weight > 0; ++at)
    out.top.emplace_back(at->id, of(*at));
  return out;
}

double Sampler::RememberedLogprob(int32_t id) {
  logits_ = remembered_;
  const float highest = Highest();
  weights_.resize(logits_.size());
  sums_.resize(most_.size());
  ExpWeights(HostIsa(), logits_, highest, 1, weights_, sums_);
  const double sum = std::accumulate(sums_.begin(), sums_.end(), 0.0);
  return logits_[static_cast<size_t>(id)] - highest - std::log(sum);
}

float Sampler::Highest() {
  RETORT_CHECK(!logits_.empty(), "no logits");
  most_.resize(LogitsBlocks(logits_.size()));
  const bool numbers = BlockMaxima(HostIsa(), logits_, most_);
  const float highest = *std::max_element(most_.begin(), most_.end());
  if (!numbers || std::isinf(highest)) {
    throw Failure("the model's logits are not finite numbers; its weights or adapter are damaged");
  }
  return highest;
}

int32_t Sampler::FirstOf(float logit) const {
  const auto block =
      static_cast<size_t>(std::find(most_.begin(), most_.end(), logit) - most_.begin());
  const auto at = std::find(logits_.begin() + static_cast<ptrdiff_t>(block * kLogitsBlock),
                            logits_.end(), logit);
  return static_cast<int32_t>(at - logits_.begin());
}

// Sets the candidates to all tokens with a logit of at least `floor`.
void Sampler::Gather(float floor) {
  candidates_.clear();
  for (size_t block = 0; block < most_.size(); ++block) {
    if (most_[block] < floor) continue;
    const size_t end = std::min(logits_.size(), (block + 1) * kLogitsBlock);
    for (size_t i = block * kLogitsBlock; i < end; ++i) {
      if (logits_[i] >= floor)
        candidates_.push_back({static_cast<int32_t>(i), logits_[i], weights_[i]});
    }
  }
}

// At least k logits are no less than the k-th largest of the blocks' maxima.
void Sampler::GatherTopK(size_t k) {
  float floor = -std::numeric_limits<float>::infinity();
  if (k <= most_.size()) {
    tops_ = most_;
    const auto at = tops_.begin() + static_cast<ptrdiff_t>(k - 1);
    std::nth_element(tops_.begin(), at, tops_.end(), std::greater());
    floor = *at;
  }
  Gather(floor);
  KeepTopK(k);
}

// Lowers the floor step by step: usually a few tokens near the highest logit reach the share.
void Sampler::GatherShare(double wanted, float highest, float factor) {
  for (const float depth : {3.0f, 6.0f, 12.0f, 24.0f, std::numeric_limits<float>::infinity()}) {
    Gather(highest - depth / factor);
    if (WeightOf(candidates_) >= wanted) return;
  }
}

void Sampler::KeepTopK(size_t k) {
  order_ = candidates_;
  const auto last = order_.begin() + static_cast<ptrdiff_t>(k - 1);
  std::nth_element(order_.begin(), last, order_.end(), Candidate::Likelier);
  KeepUpTo(*last);
}

// Binary search with partial sorting. If the likelier half of the range reaches the wanted weight,
// the last token to keep is in that half. Otherwise all of that half is kept, and the search
// continues in the other half with the remaining weight.
void Sampler::KeepShare(double wanted) {
  order_ = candidates_;
  auto begin = order_.begin(), end = order_.end();
  while (end - begin > 1) {
    const auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, Candidate::Likelier);
    double half = 0;
    for (auto at = begin; at != middle; ++at) half += at->weight;
    if (half >= wanted) {
      end = middle;
    } else {
      begin = middle;
      wanted -= half;
    }
  }
  KeepUpTo(*begin);
}

void Sampler::KeepUpTo(Candidate last) {
  std::erase_if(candidates_, [&](const Candidate& c) { return Candidate::Likelier(last, c); });
}

int32_t Sampler::DrawFromAll(double uniform) const {
  double left = uniform * std::accumulate(sums_.begin(), sums_.end(), 0.0);
  // The block that contains the drawn token. If rounding leaves `left` beyond all sums, it is the
  // last block with a positive weight.
  size_t block = 0;
  for (size_t b = 0; b < sums_.size(); ++b) {
    if (sums_[b] > 0) block = b;
    if (left < sums_[b]) break;
    left -= sums_[b];
  }
  size_t last = 0;
  for (size_t i = block * kLogitsBlock; i < std::min(weights_.size(), (block + 1) * kLogitsBlock);
       ++i) {
    if (weights_[i] > 0) last = i;
    left -= weights_[i];
    if (left < 0) break;
  }
  return static_cast<int32_t>(last);
}

}  // namespace retort
