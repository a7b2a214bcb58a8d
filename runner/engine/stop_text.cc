// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/stop_text.h"

#include <algorithm>
#include <utility>

namespace retort {
namespace {

// The length of the longest proper prefix of `stop` that is a suffix of `text`.
size_t Overlap(std::string_view text, std::string_view stop) {
  for (size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n) {
    if (text.substr(text.size() - n) == stop.substr(0, n)) return n;
  }
  return 0;
}

}  // namespace

std::string StopText::Push(std::string_view text) {
  if (found_) return "";
  held_ += text;
  size_t first = std::string::npos, overlap = 0;
  for (const std::string& stop : stops_) {
    const size_t at = held_.find(stop);
    if (at < first) first = at, stop_ = stop;
    overlap = std::max(overlap, Overlap(held_, stop));
  }
  found_ = first != std::string::npos;
  std::string shown = held_.substr(0, found_ ? first : held_.size() - overlap);
  held_.erase(0, found_ ? held_.size() : shown.size());
  return shown;
}

std::string StopText::Flush() { return std::exchange(held_, ""); }

}  // namespace retort
