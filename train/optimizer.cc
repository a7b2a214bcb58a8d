// SPDX-License-Identifier: Apache-2.0
#include "train/optimizer.h"

namespace retort {
namespace {

Tensor ZeroState(Backend& backend, const UpdateRule::State& state) {
  using Type = UpdateRule::State::Type;
  const auto count = static_cast<size_t>(state.shape.elements());
  switch (state.type) {
    case Type::kActivation:
      return backend.Zeros(state.shape);
    case Type::kSingle:
      return backend.Upload(std::vector<float>(count));
    case Type::kByte:
      return backend.Upload(std::vector<uint8_t>(count));
  }
  return {};
}

}  // namespace

Optimizer::Optimizer(const std::vector<Parameter*>& parameters, const OptimizerOptions& options,
                     Backend& backend)
    : options_(options), backend_(backend), rule_(MakeUpdateRule(options)) {
  for (Parameter* p : parameters) {
    Trained& own = trained_.emplace_back(Trained{p, {}, {}});
    for (const UpdateRule::State& state : rule_->StatesOf(p->value.shape())) {
      own.names.push_back(state.name);
      own.states.push_back(ZeroState(backend, state));
    }
  }
}

void Optimizer::AddSquares(Tensor& sum) const {
  for (const Trained& t : trained_) {
    if (const Tensor& gradient = t.parameter->gradient.sum()) backend_.SumSquares(gradient, sum);
  }
}

void Optimizer::Step(double learning_rate, const Tensor& sum_squares) {
  ++steps_;
  Tensor factor = backend_.New({1}, DType::kF32);
  backend_.ClipFactor(sum_squares, options_.clip, factor);
  for (Trained& t : trained_) {
    Parameter& p = *t.parameter;
    const UpdateStep step{.lr = learning_rate * p.rate,
                          .weight_decay = p.value.shape().rank() > 1 ? options_.weight_decay : 0,
                          .number = steps_,
                          .factor = factor};
    Tensor& gradient = p.gradient.Sum(backend_, p.value.shape());
    rule_->Update(backend_, step, p.value, gradient, t.states);
    backend_.Fill(gradient, 0);
  }
}

}  // namespace retort
