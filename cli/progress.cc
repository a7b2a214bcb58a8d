// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "base/strings.h"

namespace retort {
namespace {

constexpr int kWidth = 24;  // of the bar, in characters
constexpr std::chrono::milliseconds kRedraw(100);
constexpr std::chrono::seconds kPlainLine(10);

std::string Bar(int64_t done, int64_t total) {
  // Eighths of a character, so that slow progress is visible.
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int64_t eighths =
      total > 0 ? std::clamp<int64_t>(done * kWidth * 8 / total, 0, kWidth * 8) : 0;
  std::string out;
  for (int64_t i = 0; i < eighths / 8; ++i) out += "█";
  out += kEighths[eighths % 8];
  const int64_t drawn = (eighths + 7) / 8;
  return out + std::string(static_cast<size_t>(kWidth - drawn), ' ');
}

}  // namespace

ProgressBar::ProgressBar(std::string label)
    : label_(std::move(label)), terminal_(::isatty(STDERR_FILENO) != 0) {}

ProgressBar::~ProgressBar() {
  if (shown_) std::cerr << "\n";
}

void ProgressBar::Update(int64_t done, int64_t total, const std::string& text) {
  const auto now = std::chrono::steady_clock::now();
  const bool last = done >= total;
  const auto wait = terminal_ ? std::chrono::duration_cast<std::chrono::milliseconds>(kRedraw)
                              : std::chrono::duration_cast<std::chrono::milliseconds>(kPlainLine);
  if (!last && last_.time_since_epoch().count() != 0 && now - last_ < wait) return;
  last_ = now;
  if (terminal_) {
    Clear();
    std::cerr << label_ << " │" << Bar(done, total) << "│ " << done << "/" << total << "  " << text
              << std::flush;
    shown_ = true;
  } else {
    std::cerr << label_ << " " << done << "/" << total << "  " << text << "\n";
  }
}

void ProgressBar::PrintLine(const std::string& line) {
  Clear();
  std::cerr << line << "\n";
}

void ProgressBar::Clear() {
  if (shown_) std::cerr << "\r\033[K";
  shown_ = false;
}

std::string DurationText(double seconds) {
  const auto s = std::llround(seconds);
  char text[32];
  if (s < 60) {
    std::snprintf(text, sizeof text, "%d s", static_cast<int>(s));
  } else if (s < 3600) {
    std::snprintf(text, sizeof text, "%d:%02d", static_cast<int>(s / 60), static_cast<int>(s % 60));
  } else {
    std::snprintf(text, sizeof text, "%d:%02d:%02d", static_cast<int>(s / 3600),
                  static_cast<int>(s / 60 % 60), static_cast<int>(s % 60));
  }
  return text;
}

std::string CountText(double count) {
  char text[32];
  if (count < 10000)
    std::snprintf(text, sizeof text, "%.0f", count);
  else if (count < 1e6)
    std::snprintf(text, sizeof text, "%.1fk", count / 1e3);
  else
    std::snprintf(text, sizeof text, "%.1fM", count / 1e6);
  return text;
}

}  // namespace retort
