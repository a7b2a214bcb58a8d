// SPDX-License-Identifier: Apache-2.0
// The settings of llama3's rope scaling, found from the divisors of frequencies that it makes.
//
// A divisor f of a pair between the two thresholds says smooth = (1/f - 1/F) / (1 - 1/F), F being
// the factor, and smooth = (original / wavelength - low) / (high - low): a line in 1 / wavelength,
// whose slope and offset give original and high for low = 1.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/spec/config_writer.h"

namespace retort {
namespace {

constexpr double kAlike = 2e-6;  // of two divisors, relative: they are f32
constexpr int64_t kMostPositions = int64_t{1} << 24;

struct Point {
  double inverse_wavelength, smooth;
};

RopeSpec WithSettings(const RopeSpec& rope, double factor, double high, int64_t original) {
  RopeSpec out = rope;
  out.scaling = {};
  out.scaling.kind = RopeScaling::Kind::kLlama3;
  out.scaling.factor = factor;
  out.scaling.low_freq_factor = 1, out.scaling.high_freq_factor = high;
  out.scaling.original_max_positions = original;
  out.scaling.amplitude = rope.scaling.amplitude;
  return out;
}

// The largest relative difference of the divisors.
double Distance(const RopeSpec& candidate, const std::vector<float>& factors) {
  const std::vector<float> own = RopeFactors(candidate);
  double most = 0;
  for (size_t i = 0; i < own.size(); ++i)
    most = std::max(most, std::abs(double{own[i]} / factors[i] - 1));
  return most;
}

// The pairs between the thresholds.
std::vector<Point> Blended(const RopeSpec& rope, double factor) {
  const std::vector<float>& factors = rope.scaling.factors;
  std::vector<Point> points;
  for (size_t i = 0; i < factors.size(); ++i) {
    const double f = factors[i];
    if (f <= 1 + kAlike || f >= factor * (1 - kAlike)) continue;
    const double frequency =
        std::pow(rope.base, -2.0 * static_cast<double>(i) / static_cast<double>(rope.dims));
    points.push_back({frequency / (2 * std::numbers::pi), (1 / f - 1 / factor) / (1 - 1 / factor)});
  }
  return points;
}

class Search {
 public:
  Search(const RopeSpec& rope, double factor) : rope_(rope), factor_(factor) {}

  void Try(double high, int64_t original) {
    if (!(high > 1) || original < 1 || original > kMostPositions) return;
    RopeSpec candidate = WithSettings(rope_, factor_, high, original);
    const double distance = Distance(candidate, rope_.scaling.factors);
    if (distance < best_) best_ = distance, found_ = candidate.scaling;
  }
  // Both as they are and with `high` rounded to what people write.
  void TryNear(double high, double original) {
    if (!(high > 1) || !(original >= 1 && original <= static_cast<double>(kMostPositions))) return;
    Try(std::round(4 * high) / 4, std::llround(original));
    Try(high, std::llround(original));
  }
  std::optional<RopeScaling> Found() const {
    return best_ <= kAlike ? std::optional(found_) : std::nullopt;
  }

 private:
  const RopeSpec& rope_;
  const double factor_;
  double best_ = 1;
  RopeScaling found_;
};

}  // namespace

std::optional<RopeScaling> Llama3Settings(const RopeSpec& rope) {
  const std::vector<float>& factors = rope.scaling.factors;
  if (factors.empty()) return std::nullopt;
  const double factor = factors.back();
  if (factor <= 1) return std::nullopt;
  Search search(rope, factor);
  // What all models so far have, and what is left of it in few pairs.
  for (int64_t original = 16; original <= kMostPositions; original *= 2) search.Try(4, original);
  const std::vector<Point> points = Blended(rope, factor);
  if (points.size() >= 2) {
    const Point &first = points.front(), &last = points.back();
    const double slope =
        (first.smooth - last.smooth) / (first.inverse_wavelength - last.inverse_wavelength);
    const double offset = slope * first.inverse_wavelength - first.smooth;
    search.TryNear(1 + 1 / offset, slope / offset);
  }
  return search.Found();
}

}  // namespace retort
