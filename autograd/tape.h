// SPDX-License-Identifier: Apache-2.0
// Reverse-mode differentiation. The tape is a vector of backward steps in execution order, walked
// from its end in a loop; each step is destroyed as soon as it has run, and with it what it saved.
//
// An op computes its value and, when the context has a tape and an input wants a gradient, records
// how the output's gradient flows to its inputs. Backward always adds.
#pragma once

#include <deque>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "tensor/backend.h"

namespace retort {

// Where the gradient of one value gathers: empty until something is added.
class Gradient {
 public:
  // The sum so far, zero at first, in `shape`.
  Tensor& Sum(Backend& backend, const Shape& shape);
  // The same for a kernel that can overwrite: what is not yet there is not filled with zeros.
  struct Target {
    Tensor& sum;
    bool add;  // to what is in sum; else overwrite it
  };
  Target ToWrite(Backend& backend, const Shape& shape);
  // Adds `part`, whose elements nobody else uses any more: the first to come becomes the sum as it
  // is.
  void Accumulate(Backend& backend, Tensor part);
  const Tensor& sum() const { return sum_; }
  void Release() { sum_ = Tensor(); }

 private:
  Tensor sum_;
};

// Where the gradient of a value of that shape gathers, without holding the value.
struct GradientSink {
  Gradient* gradient = nullptr;
  Shape shape;

  bool wanted() const { return gradient != nullptr; }
  Tensor& Sum(Backend& backend) const { return gradient->Sum(backend, shape); }
  void Accumulate(Backend& backend, const Tensor& part) const {
    gradient->Accumulate(backend, part.Reshaped(shape));
  }
};

// A value and, when its gradient is wanted, where that gathers. Whoever made the Var owns the
// Gradient: the tape for an op's output, the Parameter for a parameter.
struct Var {
  Tensor value;
  Gradient* gradient = nullptr;

  bool wants_gradient() const { return gradient != nullptr; }
  const Shape& shape() const { return value.shape(); }
  // For a backward step that has no need of the value.
  GradientSink sink() const { return {gradient, value.shape()}; }
  // Where dvalue is added. Only when wants_gradient().
  Tensor& GradientSum(Backend& backend) const { return gradient->Sum(backend, value.shape()); }
  Gradient::Target GradientToWrite(Backend& backend) const {
    return gradient->ToWrite(backend, value.shape());
  }
  void AccumulateGradient(Backend& backend, const Tensor& part) const {
    sink().Accumulate(backend, part);
  }
};

// Something that is trained. Not movable: Vars point at its gradient.
struct Parameter {
  Parameter(std::string parameter_name, Tensor initial)
      : name(std::move(parameter_name)), value(std::move(initial)) {}
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;
  Var var() { return {value, &gradient}; }

  std::string name;
  Tensor value;
  Gradient gradient;
};

class Tape {
 public:
  // dy: the gradient of the op's output. Only this step still uses it, and may hand it on
  // (Gradient::Accumulate).
  using Backward = std::function<void(Backend& backend, const Tensor& dy)>;
  // Of an op with several outputs; a dy is empty where no gradient was received.
  using BackwardOfAll = std::function<void(Backend& backend, std::span<const Tensor> dy)>;
  // A root has no output: it knows the gradient it starts from.
  using Root = std::function<void(Backend& backend)>;

  explicit Tape(Backend& backend) : backend_(backend) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  Var Record(Tensor value, Backward backward);
  // outputs[i], which has a value, becomes a Var of this tape.
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
  std::deque<Gradient> gradients_;  // of the outputs; addresses stay
  std::vector<Step> steps_;
};

// What every op is given: the kernels and, in training, the tape.
struct Context {
  Backend& backend;
  Tape* tape = nullptr;

  // The op's output; recorded when one of the inputs wants a gradient, so that without a tape no
  // step is made at all.
  template <class Backward>
  Var Record(Tensor value, std::initializer_list<const Var*> inputs, Backward&& backward) {
    bool wanted = false;
    for (const Var* v : inputs) wanted = wanted || (v && v->wants_gradient());
    if (!tape || !wanted) return {std::move(value)};
    return tape->Record(std::move(value), std::forward<Backward>(backward));
  }
};

}  // namespace retort
