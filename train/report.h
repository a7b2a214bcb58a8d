// SPDX-License-Identifier: Apache-2.0
// report.html: one self-contained page about a run: its curves drawn as SVG, what was trained on
// what, samples, and the runs beside it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "train/best.h"
#include "train/metrics.h"
#include "train/run_comparison.h"
#include "train/samples.h"

namespace retort {

// What the caller knows of the run and its metrics do not say.
struct ReportAbout {
  std::vector<std::pair<std::string, std::string>> facts;  // "model", "data", "machine", ...
  std::vector<std::string> notes;                          // of the audit of the rows, and others
  std::vector<std::pair<std::string, int64_t>> lengths;    // rows by their tokens: "64 to 127"
};

struct ReportFacts {
  std::string title, status;  // status: a line below the title
  std::vector<MetricsLine> metrics;
  std::optional<EvaluationPoint> start;  // before the first step
  std::vector<SampleLine> samples;
  int64_t best_step = 0;  // whose samples are shown; 0: the last one's
  const ReportAbout& about;
  std::vector<ComparedRun> runs;  // of which the first is this one; empty: no other
  const Json& recipe;             // as resolved; shown as a table
  const Json& summary;            // the same; null while the run is under way
};

// The page has no scripts and loads no other resource. That of a run under way loads itself again
// every 20 seconds.
std::string ReportPage(const ReportFacts& facts);

}  // namespace retort
