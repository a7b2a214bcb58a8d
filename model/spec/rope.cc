// SPDX-License-Identifier: Apache-2.0
// Rotary frequencies and the ways to scale them for long contexts (architecture.h).
#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/spec/architecture.h"

namespace retort {
namespace {

double PlainFrequency(double base, int64_t pair, int64_t dims) {
  return std::pow(base, -2.0 * static_cast<double>(pair) / static_cast<double>(dims));
}

float Llama3Factor(const RopeScaling& s, double frequency) {
  const auto original = static_cast<double>(s.original_max_positions);
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < original / s.high_freq_factor) return 1;
  if (wavelength > original / s.low_freq_factor) return static_cast<float>(s.factor);
  const double smooth =
      (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return static_cast<float>(1 / ((1 - smooth) / s.factor + smooth));
}

// The pair, as a real number, that turns `turns` times over the original length.
double PairOfTurns(const RopeSpec& rope, double turns) {
  const auto original = static_cast<double>(rope.scaling.original_max_positions);
  return static_cast<double>(rope.dims) * std::log(original / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(rope.base));
}

// The divisors of frequencies: 1 up to the pair of beta_fast turns, `factor` from that of
// beta_slow.
std::vector<float> YarnFactors(const RopeSpec& rope) {
  const RopeScaling& s = rope.scaling;
  double low = PairOfTurns(rope, s.beta_fast), high = PairOfTurns(rope, s.beta_slow);
  if (s.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, static_cast<double>(rope.dims - 1));
  if (low == high) high += 0.001;
  std::vector<float> factors(static_cast<size_t>(rope.dims / 2));
  for (size_t i = 0; i < factors.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    factors[i] = static_cast<float>(1 / (ramp / s.factor + 1 - ramp));
  }
  return factors;
}

double DynamicBase(const RopeSpec& rope, int64_t length) {
  const RopeScaling& s = rope.scaling;
  const double stretch = static_cast<double>(std::max(length, s.original_max_positions)) /
                         static_cast<double>(s.original_max_positions);
  const auto dims = static_cast<double>(rope.dims);
  return rope.base * std::pow(s.factor * stretch - (s.factor - 1), dims / (dims - 2));
}

}  // namespace

std::vector<float> RopeFactors(const RopeSpec& rope) {
  const RopeScaling& s = rope.scaling;
  switch (s.kind) {
    case RopeScaling::Kind::kFactors:
    case RopeScaling::Kind::kLongRope:
      return s.factors;
    case RopeScaling::Kind::kYarn:
      return YarnFactors(rope);
    case RopeScaling::Kind::kLlama3: {
      std::vector<float> factors(static_cast<size_t>(rope.dims / 2));
      for (size_t i = 0; i < factors.size(); ++i) {
        const double plain = PlainFrequency(rope.base, static_cast<int64_t>(i), rope.dims);
        factors[i] = Llama3Factor(s, plain);
      }
      return factors;
    }
    case RopeScaling::Kind::kNone:
    case RopeScaling::Kind::kLinear:
    case RopeScaling::Kind::kDynamic:
      break;
  }
  return std::vector<float>(static_cast<size_t>(rope.dims / 2), 1.0f);
}

std::vector<double> RopeFrequencies(const RopeSpec& rope, int64_t length) {
  const RopeScaling& s = rope.scaling;
  const bool beyond = s.kind == RopeScaling::Kind::kLongRope && length > s.original_max_positions;
  const std::vector<float> factors = beyond ? s.long_factors : RopeFactors(rope);
  const double linear = s.kind == RopeScaling::Kind::kLinear ? s.factor : 1;
  const double base = s.kind == RopeScaling::Kind::kDynamic ? DynamicBase(rope, length) : rope.base;
  std::vector<double> out(factors.size());
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = PlainFrequency(base, static_cast<int64_t>(i), rope.dims) /
             (static_cast<double>(factors[i]) * linear);
  }
  return out;
}

}  // namespace retort
