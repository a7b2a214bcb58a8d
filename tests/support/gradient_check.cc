// SPDX-License-Identifier: Apache-2.0
#include "tests/support/gradient_check.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace retort {
namespace {

// Near the cube root of double's epsilon, where the truncation error (h^2) and the rounding error
// (1/h) are of equal size.
constexpr double kStep = 6e-6;

}  // namespace

double WeightedSum(Context& context, const Var& y) {
  RandomStream random(MakeKey(20, RandomUse::kInit));
  const std::vector<double> values = context.backend.ToDoubles(y.value);
  std::vector<double> weights(values.size());
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    weights[i] = random.Normal();
    sum += weights[i] * values[i];
  }
  if (context.tape && y.wants_gradient()) {
    context.tape->RecordRoot([y, w = context.backend.FromDoubles(weights, y.shape())](Backend& k) {
      k.Accumulate(w, y.GradientSum(k));
    });
  }
  return sum;
}

std::vector<GradientCheckResult> CheckGradients(Backend& backend,
                                                const std::vector<Parameter*>& parameters,
                                                const std::function<double(Context&)>& objective) {
  RETORT_CHECK(backend.activation_type() == DType::kF64, "gradients are checked in double");
  for (Parameter* p : parameters) p->gradient.Release();
  Tape tape(backend);
  Context taped{backend, &tape};
  objective(taped);
  tape.Run();

  std::vector<GradientCheckResult> results;
  Context plain{backend};
  for (Parameter* p : parameters) {
    const std::vector<double> analytic =
        backend.ToDoubles(p->gradient.Sum(backend, p->value.shape()));
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < p->value.elements(); ++i) {
      double& x = p->value.data<double>()[i];
      const double kept = x, h = kStep * std::max(1.0, std::abs(kept));
      x = kept + h;
      const double above = objective(plain);
      x = kept - h;
      const double below = objective(plain);
      x = kept;
      const double numeric = (above - below) / (2 * h);
      difference += std::pow(analytic[static_cast<size_t>(i)] - numeric, 2);
      norm += numeric * numeric;
    }
    results.push_back(
        {p->name, std::sqrt(difference) / std::max(std::sqrt(norm), 1e-300), std::sqrt(norm)});
  }
  return results;
}

}  // namespace retort
