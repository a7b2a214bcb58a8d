// SPDX-License-Identifier: Apache-2.0
// Chooses the next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace retort {

struct SamplingOptions {
  double temperature = 0;  // 0: greedy, and the options below have no effect
  int64_t top_k = 0;       // 0: off
  double top_p = 1;        // 1: off
  double min_p = 0;        // 0: off; relative to the most probable token
  uint64_t seed = 1;
  int64_t max_tokens = 256;
  std::vector<std::string> stop;  // texts that end a generation; not part of its output
  std::vector<int32_t> stop_ids;  // tokens that end it, in addition to the model's end tokens
};

// Throws Error{kInput} naming the option that is out of its range.
void CheckSampling(const SamplingOptions& options);

// Draws tokens. Its buffers are kept between calls.
class Sampler {
 public:
  // Draws a token from softmax(logits / temperature), restricted in this order:
  //   1. to the top_k most probable tokens;
  //   2. of these, to the smallest set of most probable tokens that has at least the share top_p of
  //      their total probability;
  //   3. to the tokens with at least min_p times the probability of the most probable one.
  // Ties are broken by lowest id, and at least one token always remains. The random number is a
  // function of the seed and `position` (the token's index in its stream) only. Throws
  // Error{kFailure} on logits that are not finite, except -infinity, which excludes a token.
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

  // Of the current row. Blocks are those of tensor/logits.h.
  std::span<const float> logits_;
  std::vector<float> most_;            // [blocks] the largest logit of each
  std::vector<float> weights_;         // [logits] exp((logit - highest) / temperature)
  std::vector<float> sums_;            // [blocks] of weights_
  std::vector<Candidate> candidates_;  // tokens that may still be drawn, ordered by id
  std::vector<Candidate> order_;       // a copy of candidates_ for partial sorting
  std::vector<float> tops_;            // a copy of most_ for partial sorting
};

}  // namespace retort
