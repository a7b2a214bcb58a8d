// SPDX-License-Identifier: Apache-2.0
// AdamW (Loshchilov and Hutter, arXiv 1711.05101) with bias correction and clipping by the norm of
// all gradients together.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/tape.h"

namespace retort {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;  // on matrices alone: norms and biases are not decayed
  double clip = 1;          // largest norm; 0: off
};

class AdamWOptimizer {
 public:
  // Parameters must outlive it. Two moments of f32 for each, zero at first.
  AdamWOptimizer(std::vector<Parameter*> parameters, const AdamWOptions& options, Backend& backend);

  // sum f64 [1]: adds the squares of all gradients, whose root is their norm.
  void AddSquares(Tensor& sum) const;
  // One update with gradients of that sum of squares, which are cleared afterwards. The norm and
  // the factor that clips never leave the device.
  void Step(double learning_rate, const Tensor& sum_squares);

  struct Moments {
    Parameter* parameter;
    Tensor first, second;
  };
  std::vector<Moments>& moments() { return moments_; }
  const std::vector<Moments>& moments() const { return moments_; }
  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }

 private:
  AdamWOptions options_;
  Backend& backend_;
  std::vector<Moments> moments_;
  int64_t steps_ = 0;
};

}  // namespace retort
