// SPDX-License-Identifier: Apache-2.0
// Checks gradients against central differences, in double: (f(x + h) - f(x - h)) / 2h.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/tape.h"

namespace retort {

// Makes y the tape's root. The objective is sum(weights * y) with fixed pseudo-random weights, so
// that every element of y contributes differently. Returns the objective.
double WeightedSum(Context& context, const Var& y);

struct GradientCheckResult {
  std::string name;       // of the parameter
  double relative_error;  // |analytic - numeric| / |numeric|, Euclidean norms
  double norm;            // |numeric|
};

// `objective` computes the value from the parameters' current values and records it on the
// context's tape. The backend must be the reference (f64 in host memory). Returns one result per
// parameter.
std::vector<GradientCheckResult> CheckGradients(Backend& backend,
                                                const std::vector<Parameter*>& parameters,
                                                const std::function<double(Context&)>& objective);

}  // namespace retort
