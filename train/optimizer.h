// SPDX-License-Identifier: Apache-2.0
// An update rule applied to all trained parameters. Gradients are clipped by the norm over all
// parameters together.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "autograd/tape.h"
#include "train/update_rule.h"

namespace retort {

class Optimizer {
 public:
  // The parameters must outlive the optimizer. Allocates the rule's states, zero at first.
  Optimizer(const std::vector<Parameter*>& parameters, const OptimizerOptions& options,
            Backend& backend);

  // sum, f64 [1], += the squares of all gradients: the square of the gradient norm.
  void AddSquares(Tensor& sum) const;
  // One update, after which all gradients are 0. sum_squares: from AddSquares, for clipping. The
  // norm and the clip factor stay on the device.
  void Step(double learning_rate, const Tensor& sum_squares);

  // A trained parameter, and what the rule keeps for it.
  struct Trained {
    Parameter* parameter;
    std::vector<std::string_view> names;  // of `states`
    std::vector<Tensor> states;
  };
  std::vector<Trained>& trained() { return trained_; }
  const std::vector<Trained>& trained() const { return trained_; }
  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }

 private:
  OptimizerOptions options_;
  Backend& backend_;
  std::unique_ptr<UpdateRule> rule_;
  std::vector<Trained> trained_;
  int64_t steps_ = 0;
};

}  // namespace retort
