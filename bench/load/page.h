// SPDX-License-Identifier: Apache-2.0
// A page that compares servers under load: times against throughput, with each one's knee.
#pragma once

#include <string>
#include <vector>

#include "bench/load/load.h"

namespace retort {

struct LoadedServer {
  std::string url, model;
  std::vector<LoadResult> results;  // from the least load to the most
};

// status: a line about what was asked.
std::string LoadPage(const std::vector<LoadedServer>& servers, const std::string& status);

std::string LevelName(const LoadLevel& level);  // "8 clients", "2.5 requests/s"

// "12.3 / 15.6 / -", p50, p95 and p99, each times `scale`; "-" for those that are absent.
std::string PercentilesText(const Percentiles& p, double scale);

}  // namespace retort
