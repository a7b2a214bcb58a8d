// SPDX-License-Identifier: Apache-2.0
// Reverse-mode differentiation. The tape is a vector of backward steps in execution order. Run()
// executes them from last to first and destroys each step, with the tensors it saved, right after
// it has run.
//
// An op computes its value and, when the context has a tape and an input needs a gradient, records
// how the output's gradient flows to its inputs. Backward steps always add to the inputs'
// gradients.
#pragma once

#include <deque>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "tensor/backend.h"

namespace retort {

// Accumulates the gradient of one value. Empty until something is added.
class Gradient {
 public:
  // The sum so far, allocated as zeros of `shape` on first use.
  Tensor& Sum(Backend& backend, const Shape& shape);
  // As Sum(), for a kernel that can overwrite: a new sum is not filled with zeros.
  struct Target {
    Tensor& sum;
    bool add;  // true: add to sum; false: overwrite it
  };
  Target ToWrite(Backend& backend, const Shape& shape);
  // Adds `part`. Its elements must no longer be used elsewhere: the first contribution is moved in
  // rather than added to zeros.
  void Accumulate(Backend& backend, Tensor part);
  const Tensor& sum() const { return sum_; }
  void Release() { sum_ = Tensor(); }

 private:
  Tensor sum_;
};

// The Gradient and shape of a value, without retaining the value itself.
struct GradientSink {
  Gradient* gradient = nullptr;
  Shape shape;

  bool wanted() const { return gradient != nullptr; }
  Tensor& Sum(Backend& backend) const { return gradient->Sum(backend, shape); }
  void Accumulate(Backend& backend, const Tensor& part) const {
    gradient->Accumulate(backend, part.Reshaped(shape));
  }
};

// A value and, when a gradient is needed, the Gradient that accumulates it. The Gradient is owned
// by the tape for an op's output, by the Parameter for a parameter.
struct Var {
  Tensor value;
  Gradient* gradient = nullptr;

  bool wants_gradient() const { return gradient != nullptr; }
  const Shape& shape() const { return value.shape(); }
  // For a backward step that does not need the value.
  GradientSink sink() const { return {gradient, value.shape()}; }
  // The tensor to which dvalue is added. Call only when wants_gradient().
  Tensor& GradientSum(Backend& backend) const { return gradient->Sum(backend, value.shape()); }
  Gradient::Target GradientToWrite(Backend& backend) const {
    return gradient->ToWrite(backend, value.shape());
  }
  void AccumulateGradient(Backend& backend, const Tensor& part) const {
    sink().Accumulate(backend, part);
  }
};

// A trained tensor. Not movable: Vars point at its gradient.
struct Parameter {
  Parameter(std::string parameter_name, Tensor initial)
      : name(std::move(parameter_name)), value(std::move(initial)) {}
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;
  Var var() { return {value, &gradient}; }

  std::string name;
  Tensor value;
  Gradient gradient;
  double rate = 1;  // the learning rate is multiplied by it
};

class Tape {
 public:
  // dy: the gradient of the op's output. No other step uses it any more, so it may be passed on to
  // Gradient::Accumulate.
  using Backward = std::function<void(Backend& backend, const Tensor& dy)>;
  // For an op with several outputs; dy[i] is empty if output i received no gradient.
  using BackwardOfAll = std::function<void(Backend& backend, std::span<const Tensor> dy)>;
  // A root has no output; it supplies the initial gradient itself.
  using Root = std::function<void(Backend& backend)>;

  explicit Tape(Backend& backend) : backend_(backend) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  Var Record(Tensor value, Backward backward);
  // outputs[i] must have a value; this gives it a Gradient of this tape.
  void RecordAll(std::span<Var> outputs, BackwardOfAll backward);
  void RecordRoot(Root root);

  // Runs every step, last first. A step whose outputs received no gradient is skipped. Afterwards
  // the tape is empty; only parameters' gradients remain.
  void Run();

  size_t size() const { return steps_.size(); }

 private:
  struct Step {
    std::vector<Gradient*> outputs;  // none: a root
    BackwardOfAll backward;
  };
  Backend& backend_;
  std::deque<Gradient> gradients_;  // of the outputs; a deque keeps their addresses valid
  std::vector<Step> steps_;
};

// Argument of every op: the backend and, in training, the tape.
struct Context {
  Backend& backend;
  Tape* tape = nullptr;

  // Returns the op's output. Records `backward` only with a tape and when an input needs a
  // gradient.
  template <class Backward>
  Var Record(Tensor value, std::initializer_list<const Var*> inputs, Backward&& backward) {
    bool wanted = false;
    for (const Var* v : inputs) wanted = wanted || (v && v->wants_gradient());
    if (!tape || !wanted) return {std::move(value)};
    return tape->Record(std::move(value), std::forward<Backward>(backward));
  }
};

}  // namespace retort
