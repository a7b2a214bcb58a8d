// SPDX-License-Identifier: Apache-2.0
#include "autograd/tape.h"

namespace retort {

Tensor& Gradient::Sum(Backend& backend, const Shape& shape) {
  if (!sum_) sum_ = backend.Zeros(shape);
  return sum_;
}

Gradient::Target Gradient::ToWrite(Backend& backend, const Shape& shape) {
  if (sum_) return {sum_, true};
  sum_ = backend.New(shape);
  return {sum_, false};
}

void Gradient::Accumulate(Backend& backend, Tensor part) {
  if (sum_) return backend.Accumulate(part, sum_);
  sum_ = std::move(part);
}

Var Tape::Record(Tensor value, Backward backward) {
  Var output{std::move(value)};
  RecordAll({&output, 1}, [backward = std::move(backward)](Backend& k, std::span<const Tensor> dy) {
    backward(k, dy[0]);
  });
  return output;
}

void Tape::RecordAll(std::span<Var> outputs, BackwardOfAll backward) {
  Step& step = steps_.emplace_back(Step{{}, std::move(backward)});
  for (Var& output : outputs) {
    output.gradient = &gradients_.emplace_back();
    step.outputs.push_back(output.gradient);
  }
}

void Tape::RecordRoot(Root root) {
  steps_.push_back(
      {{}, [root = std::move(root)](Backend& b, std::span<const Tensor>) { root(b); }});
}

void Tape::Run() {
  std::vector<Tensor> dy;
  while (!steps_.empty()) {
    const Step step = std::move(steps_.back());
    steps_.pop_back();
    dy.clear();
    bool received = step.outputs.empty();
    for (Gradient* output : step.outputs) {
      dy.push_back(output->sum());
      received = received || output->sum();
      output->Release();
    }
    if (received) step.backward(backend_, dy);
  }
  gradients_.clear();
}

}  // namespace retort
