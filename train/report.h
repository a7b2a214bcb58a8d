// SPDX-License-Identifier: Apache-2.0
// report.html: one self-contained page with a run's curves drawn as SVG.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "train/metrics.h"
#include "train/samples.h"

namespace retort {

struct ReportFacts {
  std::string title, status;  // status: a line below the title
  std::vector<MetricsLine> metrics;
  std::vector<SampleLine> samples;
  int64_t best_step = 0;  // whose samples are shown; 0: the last one's
  const Json& recipe;     // as resolved; shown as a table
  const Json& summary;    // the same; null while the run is under way
};

// The page has no scripts and loads no other resource. That of a run under way loads itself again
// every 20 seconds.
std::string ReportPage(const ReportFacts& facts);

}  // namespace retort
