// SPDX-License-Identifier: Apache-2.0
// Chooses the next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runner/engine/logprobs.h"
#include "runner/engine/sampling/candidates.h"
#include "runner/engine/sampling/mirostat.h"
#include "runner/engine/sampling/options.h"

namespace retort {

// Draws tokens. Its buffers are kept between calls.
class Sampler {
 public:
  // Draws a token from softmax(logits / temperature), restricted in this order:
  //   1. to the top_k most probable tokens;
  //   2. of these, to the smallest set of most probable tokens that has at least the share top_p of
  //      their total probability;
  //   3. to the tokens with at least min_p times the probability of the most probable one.
  // The options that few requests have come between them, as sampling/options.h says.
  // Ties are broken by lowest id, and at least one token always remains. The random numbers are a
  // function of the seed and `position` (the token's index in its stream) only. Throws
  // Error{kFailure} on logits that are not finite, except -infinity, which excludes a token.
  // mirostat: the stream's, if its options ask for it.
  int32_t Sample(std::span<const float> logits, const SamplingOptions& options, uint64_t position,
                 Mirostat* mirostat = nullptr);

  // How likely the last draw was to give this token, and the `top` likeliest ones among those that
  // the options had left. A token that is not among them was forced: its log-probability is 0. The
  // row must not have changed since.
  TokenLogprobs DrawnLogprobs(int32_t id, int64_t top);

  // Takes a row as the model gave it, before options change it, to say how likely a token was.
  void Remember(std::span<const float> logits) { remembered_.assign(logits.begin(), logits.end()); }
  // The log-softmax at the token, to about seven digits: for statistics.
  double RememberedLogprob(int32_t id);

 private:
  enum class Drawn { kHighest, kAmongCandidates, kAmongAll };

  float Highest();
  int32_t FirstOf(float logit) const;
  void Gather(float floor);
  void GatherTopK(size_t k);
  void GatherShare(double wanted, float highest, float factor);
  void KeepTopK(size_t k);
  void KeepShare(double wanted);
  void KeepUpTo(Candidate last);
  int32_t SampleInSteps(const SamplingOptions& options, class RandomStream& random, double uniform,
                        Mirostat* mirostat);
  int32_t DrawFromAll(double uniform) const;

  // Of the current row. Blocks are those of tensor/logits.h.
  std::span<const float> logits_;
  std::vector<float> most_;     // [blocks] the largest logit of each
  std::vector<float> weights_;  // [logits] exp((logit - highest) / temperature)
  std::vector<float> sums_;     // [blocks] of weights_
  Candidates candidates_;       // tokens that may still be drawn
  Candidates order_;            // a copy of candidates_ for partial sorting
  std::vector<float> tops_;     // a copy of most_ for partial sorting
  std::vector<float> remembered_;
  Drawn drawn_ = Drawn::kHighest;  // how the last token was
};

}  // namespace retort
