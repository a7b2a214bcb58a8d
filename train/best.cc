// SPDX-License-Identifier: Apache-2.0
#include "train/best.h"

#include <algorithm>

#include "base/error.h"

namespace retort {

double BestEvaluation::Value(const EvaluationPoint& point) const {
  if (by_ == "loss") return -point.loss;
  const auto found = std::ranges::find(point.extras, by_, &Extra::first);
  RETORT_CHECK(found != point.extras.end(), "an evaluation without ", by_);
  return found->second;
}

bool BestEvaluation::Add(EvaluationPoint point) {
  const bool better = !best_ || Value(point) > Value(*best_) ||
                      (Value(point) == Value(*best_) && point.loss < best_->loss);
  since_ = better ? 0 : since_ + 1;
  if (better) best_ = std::move(point);
  return better;
}

}  // namespace retort
