// SPDX-License-Identifier: Apache-2.0
// How an optimiser changes one parameter, and what it keeps for it between steps. The formulas are
// those of tensor/kernels/optimiser.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/backend.h"

namespace retort {

struct Betas {
  double first, second;
};

struct OptimizerOptions {
  enum class Kind : uint8_t { kAdamW, kAdamW8Bit, kLion, kSgd, kAdafactor };
  Kind kind = Kind::kAdamW;
  // 0: the kind's own (DefaultBetas); SGD and Adafactor have no use for them.
  double beta1 = 0, beta2 = 0;
  double epsilon = 1e-8;    // AdamW
  double momentum = 0;      // SGD
  double weight_decay = 0;  // for matrices only: norms and biases are not decayed
  double clip = 1;          // maximum gradient norm; 0: no clipping
};

// "adamw", "adamw8", "lion", "sgd", "adafactor"
const std::vector<std::string>& OptimizerNames();
OptimizerOptions::Kind OptimizerNamed(const std::string& name);

// AdamW: 0.9 and 0.999; Lion: 0.9 and 0.99.
Betas DefaultBetas(OptimizerOptions::Kind kind);

struct UpdateStep {
  double lr, weight_decay;
  int64_t number;        // from 1
  const Tensor& factor;  // f32 [1]: the clip factor
};

class UpdateRule {
 public:
  virtual ~UpdateRule() = default;

  // A tensor kept for a parameter, zero at first. `name` is its group in a checkpoint.
  struct State {
    std::string_view name;
    Shape shape;
    enum class Type : uint8_t { kActivation, kSingle, kByte } type = Type::kActivation;
  };
  virtual std::vector<State> StatesOf(const Shape& parameter) const = 0;
  // states: in the order of StatesOf.
  virtual void Update(Backend& backend, const UpdateStep& step, Tensor& parameter,
                      const Tensor& gradient, std::span<Tensor> states) const = 0;
};

std::unique_ptr<UpdateRule> MakeUpdateRule(const OptimizerOptions& options);

// Every name that a State may have.
std::span<const std::string_view> StateNames();

}  // namespace retort
