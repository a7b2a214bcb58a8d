// SPDX-License-Identifier: Apache-2.0
#include "tests/support/op_cases.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace retort {
namespace {

// Differences below this are ignored: the reference's double holds such numbers, f32 need not.
constexpr double kSmallestF32 = std::numeric_limits<float>::min();

std::string DifferenceOf(const OpOutput& got, const OpOutput& want, double tolerance) {
  if (got.name != want.name || got.values.size() != want.values.size()) {
    return Cat(got.name, ": ", got.values.size(), " values, want ", want.name, " with ",
               want.values.size(), "\n");
  }
  if (want.values.empty()) return "";
  double error = 0, norm = 0, worst = -1;
  size_t worst_at = 0;
  for (size_t i = 0; i < want.values.size(); ++i) {
    const bool both_nan = std::isnan(got.values[i]) && std::isnan(want.values[i]);
    if (want.exact && (got.values[i] == want.values[i] || both_nan)) continue;
    double off = std::abs(got.values[i] - want.values[i]);
    if (!std::isfinite(off)) {
      return Cat(want.name, "[", i, "]: got ", got.values[i], ", want ", want.values[i], "\n");
    }
    if (!want.exact && off < kSmallestF32) off = 0;
    error += off * off;
    norm += want.values[i] * want.values[i];
    if (off > worst) worst = off, worst_at = i;
  }
  const double limit = want.exact ? 0 : tolerance;
  const double count = static_cast<double>(want.values.size());
  const double rms = std::sqrt(norm / count);
  if (std::sqrt(error) <= limit * std::sqrt(norm) && worst <= kWorstFactor * limit * rms) return "";
  return Cat(want.name, ": relative error ", std::sqrt(error / norm), ", limit ", limit,
             "; worst at ", worst_at, ": got ", got.values[worst_at], ", want ",
             want.values[worst_at], ", root mean square ", rms, "\n");
}

}  // namespace

std::vector<OpCase> AllOpCases() {
  std::vector<OpCase> all;
  for (const auto& topic : {ElementwiseCases, RowCases, RoutingCases, NormAndRotaryCases,
                            LinearCases, AdapterCases, AdaptedCases, GemmCases, AttentionCases,
                            LossAndOptimizerCases, DistillCases, HiddenCases}) {
    for (OpCase& op_case : topic()) all.push_back(std::move(op_case));
  }
  return all;
}

std::vector<std::string> KernelsOfCases() {
  std::vector<std::string> kernels;
  for (const OpCase& op_case : AllOpCases()) kernels.push_back(op_case.kernel);
  std::ranges::sort(kernels);
  kernels.erase(std::unique(kernels.begin(), kernels.end()), kernels.end());
  return kernels;
}

std::vector<OpOutput> OutputsOf(const OpCase& op_case, Backend& backend) {
  const OpRun run = op_case.prepare(backend);
  run.call();
  return run.outputs();
}

std::string Differences(const std::vector<OpOutput>& got, const std::vector<OpOutput>& want,
                        double tolerance) {
  if (got.size() != want.size()) return Cat(got.size(), " outputs, want ", want.size(), "\n");
  std::string lines;
  for (size_t i = 0; i < want.size(); ++i) lines += DifferenceOf(got[i], want[i], tolerance);
  return lines;
}

}  // namespace retort
