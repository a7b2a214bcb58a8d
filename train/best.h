// SPDX-License-Identifier: Apache-2.0
// Which of a run's evaluations is the best one, and for how long none was better.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/objectives/objective.h"

namespace retort {

// An evaluation's place and figures.
struct EvaluationPoint {
  int64_t step = 0;
  double loss = 0;
  std::vector<Extra> extras;
};

class BestEvaluation {
 public:
  // by: "loss", of which the lowest is best, or the name of a further figure, of which the highest
  // is; if two are equal, the lower loss is better.
  explicit BestEvaluation(std::string by) : by_(std::move(by)) {}

  // Returns whether it is the best so far. Throws Error{kBug} if the figure is missing.
  bool Add(EvaluationPoint point);

  const std::optional<EvaluationPoint>& best() const { return best_; }
  int64_t since() const { return since_; }  // evaluations after the best one

 private:
  double Value(const EvaluationPoint& point) const;  // the higher, the better

  std::string by_;
  std::optional<EvaluationPoint> best_;
  int64_t since_ = 0;
};

}  // namespace retort
