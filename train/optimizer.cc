// SPDX-License-Identifier: Apache-2.0
#include "train/optimizer.h"

namespace retort {

AdamWOptimizer::AdamWOptimizer(const std::vector<Parameter*>& parameters,
                               const AdamWOptions& options, Backend& backend)
    : options_(options), backend_(backend) {
  for (Parameter* p : parameters) {
    moments_.push_back({p, backend.Zeros(p->value.shape()), backend.Zeros(p->value.shape())});
  }
}

void AdamWOptimizer::AddSquares(Tensor& sum) const {
  for (const Moments& m : moments_) {
    if (const Tensor& gradient = m.parameter->gradient.sum()) backend_.SumSquares(gradient, sum);
  }
}

void AdamWOptimizer::Step(double learning_rate, const Tensor& sum_squares) {
  ++steps_;
  AdamWStep rule{};
  rule.lr = static_cast<float>(learning_rate);
  rule.beta1 = static_cast<float>(options_.beta1);
  rule.beta2 = static_cast<float>(options_.beta2);
  rule.epsilon = static_cast<float>(options_.epsilon);
  rule.step = steps_;
  Tensor factor = backend_.New({1}, DType::kF32);
  backend_.ClipFactor(sum_squares, options_.clip, factor);
  for (Moments& m : moments_) {
    rule.weight_decay =
        m.parameter->value.shape().rank() > 1 ? static_cast<float>(options_.weight_decay) : 0.0f;
    Tensor& gradient = m.parameter->gradient.Sum(backend_, m.parameter->value.shape());
    backend_.AdamW(rule, factor, m.parameter->value, gradient, m.first, m.second);
    backend_.Fill(gradient, 0);
  }
}

}  // namespace retort
