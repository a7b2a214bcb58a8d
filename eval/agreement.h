// SPDX-License-Identifier: Apache-2.0
// How close one model's predictions are to another's.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/examples.h"
#include "model/model.h"

namespace retort {

// Over next-token distributions P (the reference's) and Q.
struct Agreement {
  int64_t tokens = 0;  // that were predicted
  double mean_kl = 0,
         largest_kl = 0;  // KL(P || Q) per token, in nats; NaN if a logit is not finite
  double top1 = 0;        // share of tokens with the same most probable one
};

class AgreementSum {
 public:
  // The logits of both models for one token, of equal length.
  void Add(std::span<const float> reference, std::span<const float> other);
  Agreement Mean() const;

 private:
  int64_t tokens_ = 0, same_ = 0;
  double kl_ = 0, largest_ = 0;
};

struct ScoredModel {
  const Model* model;
  const Adapter* adapter;  // may be null
};

// The agreement of each of `others` with `reference` at the tokens of the examples that carry loss,
// or at the first of these, `most_tokens` of them. The models have the same vocabulary.
std::vector<Agreement> CompareModels(const ScoredModel& reference,
                                     const std::vector<ScoredModel>& others,
                                     const Examples& examples, int64_t most_tokens);

}  // namespace retort
