// SPDX-License-Identifier: Apache-2.0
// Progress on standard error: a live bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <string>

namespace retort {

class ProgressBar {
 public:
  explicit ProgressBar(std::string label);
  ~ProgressBar();  // ends the live line

  // done of total, and a text to its right. Elsewhere than on a terminal a line appears every ten
  // seconds, and for the last step.
  void Update(int64_t done, int64_t total, const std::string& text);
  // A line that stays, above the bar.
  void PrintLine(const std::string& line);

 private:
  void Clear();

  std::string label_;
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

// "1:07:09", "3:04", "12 s"
std::string DurationText(double seconds);
// "1,234", "56.7k"
std::string CountText(double count);

}  // namespace retort
