// SPDX-License-Identifier: Apache-2.0
// How the answers of a server were when all was well, which a file keeps.
#pragma once

#include <array>
#include <cstdint>
#include <span>
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

DriftSummary SummaryOf(std::span<const AnswerFigures> answers);

// How many standard errors lie between the means (Welch's t). Shares are moved a little towards one
// half first (Agresti and Caffo, 2000), since nothing among 100 is not never.
double DriftScore(const DriftStatistic& statistic, const DriftMoments& baseline,
                  const DriftMoments& now);

struct DriftBaseline {
  std::string model, recorded;        // its name; when
  std::vector<std::string> refusals;  // the phrases, in lower case
  DriftSummary summary;
};

// Throws Error{kInput} with the file and the member.
DriftBaseline ReadDriftBaseline(const Path& path);
void WriteDriftBaseline(const Path& path, const DriftBaseline& baseline);

}  // namespace retort
