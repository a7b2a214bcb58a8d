// SPDX-License-Identifier: Apache-2.0
// Mixtures of experts: routing of tokens, and the weighted sum of the experts' outputs. Conventions
// as in tensor/backend.h.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace retort {

// How a router chooses among E experts: each has a score, and the `used` experts of the highest
// scores are chosen; ties go to the lower index. An expert's weight is its score; with
// `renormalise` it is divided by the sum over the chosen experts; then it is multiplied by `scale`.
//
// The choice may be limited to `used_groups` of `groups` equal groups of consecutive experts, those
// with the highest group score, and a bias may be added to the scores for the choice alone
// (DeepSeek-V3, arXiv 2412.19437).
struct RouteRule {
  enum class Score : uint8_t { kSoftmax, kSigmoid };
  enum class GroupScore : uint8_t { kBest, kBestTwo };  // of its experts: one, or the sum of two

  int used = 1;
  bool renormalise = false;
  Score score = Score::kSoftmax;
  float scale = 1;
  int groups = 1, used_groups = 1;
  GroupScore group_score = GroupScore::kBest;
  Tensor bias = {};  // [E], or empty
};

class ExpertKernels {
 public:
  // logits, scores [T,E]; experts i32 [T,used], best first; weights [T,used]. 1 <= used <= E.
  virtual void Route(const RouteRule& rule, const Tensor& logits, Tensor& scores, Tensor& experts,
                     Tensor& weights) = 0;
  // dweights [T,used]; dlogits [T,E] +=. The choice itself has no gradient.
  virtual void RouteGrad(const RouteRule& rule, const Tensor& dweights, const Tensor& scores,
                         const Tensor& experts, Tensor& dlogits) = 0;
  // x [N,C]; rows, places i32 [N]; weights: any shape, indexed flat:
  // out[rows[i],:] += weights[places[i]] * x[i,:]. A row may be named more than once.
  virtual void AddWeightedRows(const Tensor& x, const Tensor& weights, const Tensor& rows,
                               const Tensor& places, Tensor& out) = 0;
  // dx[i,:] = weights[places[i]] * dout[rows[i],:] (overwritten); if dweights is given,
  // dweights[places[i]] += dout[rows[i],:] . x[i,:]
  virtual void WeightedRowsGrad(const Tensor& dout, const Tensor& x, const Tensor& weights,
                                const Tensor& rows, const Tensor& places, Tensor& dx,
                                Tensor* dweights) = 0;

 protected:
  ~ExpertKernels() = default;
};

}  // namespace retort
