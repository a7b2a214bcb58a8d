// SPDX-License-Identifier: Apache-2.0
// Gradients against central differences, in double: (f(x + h) - f(x - h)) / 2h.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/tape.h"

namespace retort {

// Makes y the tape's root: the objective is sum(weights * y), with fixed pseudo-random weights, so
// that every element of y counts differently. Returns the objective.
double WeightedSum(Context& context, const Var& y);

struct GradientCheckResult {
  std::string name;       // of the parameter
  double relative_error;  // |analytic - numeric| / |numeric|, Euclidean norms
  double norm;            // |numeric|
};

// `objective` computes the value and records it on the context's tape, from the parameters'
// present values. The backend must be the reference (f64 in host memory). One result a parameter.
std::vector<GradientCheckResult> CheckGradients(Backend& backend,
                                                const std::vector<Parameter*>& parameters,
                                                const std::function<double(Context&)>& objective);

}  // namespace retort
