// SPDX-License-Identifier: Apache-2.0
#include "train/rows_at_fault.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/strings.h"
#include "eval/loss.h"

namespace retort {
namespace {

constexpr size_t kNamedRows = 3;

}  // namespace

std::string WorstRows(const Model& model, const Adapter* adapter, const StepBatch& step,
                      const RowName& name) {
  struct Found {
    double loss;  // infinite if it is not a finite number
    const Example* row;
  };
  std::vector<Found> found;
  for (const MicroBatch& micro : step.micro) {
    for (const Example* row : micro.rows) {
      if (row->LossTokens() == 0) continue;
      const double loss = ExampleLosses(model, adapter, {row})[0].mean();
      found.push_back({std::isfinite(loss) ? loss : std::numeric_limits<double>::infinity(), row});
    }
  }
  std::ranges::stable_sort(found, std::greater(), &Found::loss);
  found.resize(std::min(found.size(), kNamedRows));
  std::vector<std::string> texts;
  texts.reserve(found.size());
  for (const Found& f : found)
    texts.push_back(Cat(name(*f.row), std::isfinite(f.loss) ? Cat(" (loss ", f.loss, ")")
                                                            : " (its loss is not finite)"));
  return Join(texts, ", ");
}

}  // namespace retort
