// SPDX-License-Identifier: Apache-2.0
// How the answers of a server were when all was well, which a file keeps.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "runner/drift/answer_figures.h"

namespace retort {

struct DriftMoments {
  int64_t answers = 0;  // that say something of the statistic
  double mean = 0, deviation = 0;
};
using DriftSummary = std::array<DriftMoments, kDriftStatistics.size()>;

// Of answers that come and go. The sums of whole numbers and shares are exact; those of other
// figures lose some 1e-16 of themselves with each answer.
class DriftSums {
 public:
  void Add(const AnswerFigures& figures) { Count(figures, 1); }
  void Remove(const AnswerFigures& figures) { Count(figures, -1); }
  DriftSummary Summary() const;

 private:
  struct Sum {
    int64_t answers = 0;
    double sum = 0, squares = 0;
  };
  void Count(const AnswerFigures& figures, int sign);

  std::array<Sum, kDriftStatistics.size()> sums_ = {};
};

// How many standard errors lie between the means (Welch's t). The errors of shares are those of
// shares that are moved a little towards one half (Agresti and Caffo, 2000), since nothing among
// 100 is not never; the distance is that of the shares themselves.
double DriftScore(const DriftStatistic& statistic, const DriftMoments& baseline,
                  const DriftMoments& now);

struct DriftBaseline {
  std::string model, recorded;        // its name; when
  std::vector<std::string> refusals;  // the phrases, folded
  DriftSummary summary;
};

// Throws Error{kInput} with the file and the member.
DriftBaseline ReadDriftBaseline(const Path& path);
void WriteDriftBaseline(const Path& path, const DriftBaseline& baseline);

}  // namespace retort
