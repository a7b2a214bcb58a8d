// SPDX-License-Identifier: Apache-2.0
// Progress on standard error: a live bar on a terminal, otherwise plain lines.
#pragma once

#include <chrono>
#include <string>

namespace retort {

class ProgressBar {
 public:
  explicit ProgressBar(std::string label);
  ~ProgressBar();  // ends the live line

  // Shows `done` of `total`, followed by `text`. Without a terminal, prints a line every ten
  // seconds and for the last step.
  void Update(int64_t done, int64_t total, const std::string& text);
  // Prints a permanent line above the bar.
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
