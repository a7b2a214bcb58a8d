// SPDX-License-Identifier: Apache-2.0
// AdamW (Loshchilov and Hutter, arXiv 1711.05101) with bias correction. Gradients are clipped by
// the norm over all parameters together.
#pragma once

#include <cstdint>
#include <vector>

#include "autograd/tape.h"

namespace retort {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;  // for matrices only: norms and biases are not decayed
  double clip = 1;          // maximum gradient norm; 0: no clipping
};

class AdamWOptimizer {
 public:
  // The parameters must outlive the optimizer. Allocates two f32 moments per parameter, zero at
  // first.
  AdamWOptimizer(const std::vector<Parameter*>& parameters, const AdamWOptions& options,
                 Backend& backend);

  // sum, f64 [1], += the squares of all gradients: the square of the gradient norm.
  void AddSquares(Tensor& sum) const;
  // One update, after which all gradients are 0. sum_squares: from AddSquares, for clipping. The
  // norm and the clip factor stay on the device.
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
