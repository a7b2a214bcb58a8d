// SPDX-License-Identifier: Apache-2.0
// Metrics in Prometheus's text format 0.0.4.
#pragma once

#include <string>

#include "base/strings.h"

namespace retort {

// What stands before a metric's samples. type: "counter", "gauge" or "histogram".
inline void WriteMetricHead(const std::string& name, const char* type, const std::string& help,
                            std::string& out) {
  out += Cat("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
}

// A metric of one sample.
template <class Number>
void WriteMetric(const std::string& name, const char* type, const std::string& help, Number value,
                 std::string& out) {
  WriteMetricHead(name, type, help, out);
  out += Cat(name, " ", value, "\n");
}

}  // namespace retort
