// SPDX-License-Identifier: Apache-2.0
// Progress on standard error: a live bar on a terminal, otherwise plain lines.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace retort {

// A part of a progress line, such as "loss 1.23". Where the line has no room for all of them, those
// of the highest rank go first.
struct ProgressItem {
  std::string text;
  int rank = 0;
};

// "train ▕█████▍    ▏ 120/400  loss 1.23  3:04 left" in at most `width` columns: the bar gets what
// the items leave, and goes before the last item does.
std::string ProgressLine(const std::string& label, int64_t done, int64_t total,
                         const std::vector<ProgressItem>& items, int width);

class ProgressBar {
 public:
  explicit ProgressBar(std::string label);
  ~ProgressBar();  // ends the live line

  // Shows `done` of `total`, followed by the items that fit. Without a terminal, prints a line with
  // all of them every ten seconds and for the last step.
  void Update(int64_t done, int64_t total, const std::vector<ProgressItem>& items);
  void Update(int64_t done, int64_t total, const std::string& text) {
    Update(done, total, std::vector<ProgressItem>{{text}});
  }
  // Prints a permanent line above the bar.
  void PrintLine(const std::string& line);

 private:
  void Clear();

  std::string label_;
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

// The line in pieces of at most `width` columns, broken at spaces where there are some; those after
// the first begin with `indent` spaces.
std::vector<std::string> Wrapped(const std::string& line, size_t width, size_t indent);
// Of the terminal that standard error is; 0 if it is none.
int TerminalWidth();

// "1:07:09", "3:04", "12 s"
std::string DurationText(double seconds);
// "1,234", "56.7k"
std::string CountText(double count);

}  // namespace retort
