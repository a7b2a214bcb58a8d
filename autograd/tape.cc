// SPDX-License-Identifier: Apache-2.0
#include "autograd/tape.h"

namespace retort {

Tensor& Gradient::Sum(Backend& backend, const Shape& shape) {
  if (!sum_) sum_ = backend.Zeros(shape);
  return sum_;
}

Var Tape::Record(Tensor value, Backward backward) {
  Gradient& gradient = gradients_.emplace_back();
  steps_.push_back({&gradient, std::move(backward)});
  return {std::move(value), &gradient};
}

void Tape::RecordRoot(Root root) {
  steps_.push_back({nullptr, [root = std::move(root)](Backend& b, const Tensor&) { root(b); }});
}

void Tape::Run() {
  while (!steps_.empty()) {
    const Step step = std::move(steps_.back());
    steps_.pop_back();
    if (!step.output) {
      step.backward(backend_, Tensor());
    } else if (step.output->sum()) {
      step.backward(backend_, step.output->sum());
      step.output->Release();
    }
  }
  gradients_.clear();
}

Var Context::Record(Tensor value, std::initializer_list<const Var*> inputs,
                    Tape::Backward backward) {
  bool wanted = false;
  for (const Var* v : inputs) wanted = wanted || (v && v->wants_gradient());
  if (!tape || !wanted) return {std::move(value)};
  return tape->Record(std::move(value), std::move(backward));
}

}  // namespace retort
