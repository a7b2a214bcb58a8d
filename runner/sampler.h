// SPDX-License-Identifier: Apache-2.0
// The next token out of logits.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace retort {

struct SamplingOptions {
  double temperature = 0;  // 0: greedy; the others act only above 0
  int64_t top_k = 0;       // 0: off
  double top_p = 1;        // 1: off
  double min_p = 0;        // 0: off; relative to the likeliest token
  uint64_t seed = 1;
  int64_t max_tokens = 256;
  std::vector<std::string> stop;  // texts that end a generation and are left out of it
  std::vector<int32_t> stop_ids;  // tokens that do, beside the model's own
};

// Throws Error{kInput} naming the option that is out of its range.
void CheckSampling(const SamplingOptions& options);

// Draws tokens; what it works with is kept from one to the next.
class Sampler {
 public:
  // One token out of softmax(logits / temperature), cut down in this order: the top_k likeliest; of
  // what they share, the fewest likeliest whose probabilities reach top_p; those at least min_p
  // times as likely as the likeliest. Equals are taken by lowest id, and one token always stays.
  // The random number is a function of the seed and `position` alone (the token's place in its
  // stream). Throws Error{kFailure} on logits that are not finite numbers; -infinity is a token
  // that cannot be.
  int32_t Sample(std::span<const float> logits, const SamplingOptions& options, uint64_t position);

 private:
  struct Candidate {
    int32_t id;
    float logit, weight;
  };
  static bool Likelier(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  }

  float Highest();
  int32_t FirstOf(float logit) const;
  void Gather(float floor);
  void GatherTopK(size_t k);
  void GatherShare(double wanted, float highest, float factor);
  void KeepTopK(size_t k);
  void KeepShare(double wanted);
  void KeepUpTo(Candidate last);
  double SumOfCandidates() const;
  int32_t DrawCandidate(double uniform) const;
  int32_t DrawFromAll(double uniform) const;

  // Of the present row: blocks are those of tensor/logits.h.
  std::span<const float> logits_;
  std::vector<float> most_;            // [blocks]
  std::vector<float> weights_;         // [logits] exp((logit - highest) / temperature)
  std::vector<float> sums_;            // [blocks] of weights_
  std::vector<Candidate> candidates_;  // what may still be drawn, by id
  std::vector<Candidate> order_;       // the same while it is sorted in part
  std::vector<float> tops_;            // most_ while it is
};

}  // namespace retort
