// SPDX-License-Identifier: Apache-2.0
// Mixtures of experts: routing of tokens, and the weighted sum of the experts' outputs. Conventions
// as in tensor/backend.h.
#pragma once

#include "tensor/tensor.h"

namespace retort {

// How a router chooses among E experts: softmax over all of them, then the `used` most probable
// ones; ties go to the lower index. An expert's weight is its probability; with `renormalise` it is
// divided by the sum over the chosen experts.
struct RouteRule {
  int used = 1;
  bool renormalise = false;
};

class ExpertKernels {
 public:
  // logits, probabilities [T,E]; experts i32 [T,used], most probable first; weights [T,used].
  // 1 <= used <= E.
  virtual void Route(const RouteRule& rule, const Tensor& logits, Tensor& probabilities,
                     Tensor& experts, Tensor& weights) = 0;
  // dweights [T,used]; dlogits [T,E] +=. The choice itself has no gradient.
  virtual void RouteGrad(const RouteRule& rule, const Tensor& dweights, const Tensor& probabilities,
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
