// SPDX-License-Identifier: Apache-2.0
// report.html: one self-contained page with a run's curves drawn as SVG.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "train/metrics.h"

namespace retort {

// `recipe` (as resolved) and `summary` are shown as tables. The page has no scripts and loads no
// other resource.
std::string ReportPage(const std::string& title, const std::vector<MetricsLine>& metrics,
                       const Json& recipe, const Json& summary);

}  // namespace retort
