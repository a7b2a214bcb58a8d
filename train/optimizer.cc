// SPDX-License-Identifier: Apache-2.0
#include "train/optimizer.h"

#include <cmath>

namespace retort {

AdamWOptimizer::AdamWOptimizer(std::vector<Parameter*> parameters, const AdamWOptions& options,
                               Backend& backend)
    : options_(options), backend_(backend) {
  for (Parameter* p : parameters) {
    moments_.push_back({p, backend.Zeros(p->value.shape()), backend.Zeros(p->value.shape())});
  }
}

double AdamWOptimizer::GradientNorm() const {
  double sum = 0;
  for (const Moments& m : moments_) {
    if (const Tensor& gradient = m.parameter->gradient.sum()) sum += backend_.SumSquares(gradient);
  }
  return std::sqrt(sum);
}

void AdamWOptimizer::Step(double learning_rate, double gradient_norm) {
  ++steps_;
  AdamWStep rule{};
  rule.lr = static_cast<float>(learning_rate);
  rule.beta1 = static_cast<float>(options_.beta1);
  rule.beta2 = static_cast<float>(options_.beta2);
  rule.epsilon = static_cast<float>(options_.epsilon);
  rule.step = steps_;
  // torch.nn.utils.clip_grad_norm_: scaled by clip / (norm + 1e-6) where that is below 1.
  const double scale = options_.clip / (gradient_norm + 1e-6);
  rule.grad_scale = options_.clip > 0 && scale < 1 ? static_cast<float>(scale) : 1.0f;
  for (Moments& m : moments_) {
    rule.weight_decay =
        m.parameter->value.shape().rank() > 1 ? static_cast<float>(options_.weight_decay) : 0.0f;
    Tensor& gradient = m.parameter->gradient.Sum(backend_, m.parameter->value.shape());
    backend_.AdamW(rule, m.parameter->value, gradient, m.first, m.second);
    backend_.Fill(gradient, 0);
  }
}

}  // namespace retort
