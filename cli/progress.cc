// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "base/strings.h"

namespace retort {
namespace {

constexpr int kNarrowBar = 8, kWideBar = 24;  // columns
constexpr int kUnknownWidth = 80;
constexpr std::chrono::milliseconds kRedraw(100);
constexpr std::chrono::seconds kPlainLine(10);

std::string Bar(int64_t done, int64_t total, int width) {
  // Eighths of a character, so that slow progress is visible.
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int64_t all = int64_t{8} * width;
  const int64_t eighths = total > 0 ? std::clamp<int64_t>(done * all / total, 0, all) : 0;
  std::string out = "▕";
  for (int64_t i = 0; i < eighths / 8; ++i) out += "█";
  out += kEighths[eighths % 8];
  const int64_t drawn = (eighths + 7) / 8;
  return out + std::string(static_cast<size_t>(width - drawn), ' ') + "▏ ";
}

std::string Joined(const std::vector<ProgressItem>& items) {
  std::string out;
  for (const ProgressItem& item : items) out += "  " + item.text;
  return out;
}

}  // namespace

ProgressBar::ProgressBar(std::string label)
    : label_(std::move(label)), terminal_(::isatty(STDERR_FILENO) != 0) {}

ProgressBar::~ProgressBar() {
  if (shown_) std::cerr << "\n";
}

std::string ProgressLine(const std::string& label, int64_t done, int64_t total,
                         const std::vector<ProgressItem>& items, int width) {
  constexpr int kBarEdges = 3;
  const std::string count = Cat(done, "/", total);
  std::vector<ProgressItem> kept = items;
  const auto room = [&] {  // for the bar; all other text is of one column a byte
    return width - static_cast<int>(label.size() + 1 + count.size() + Joined(kept).size()) -
           kBarEdges;
  };
  while (kept.size() > 1 && room() < kNarrowBar)
    kept.erase(std::ranges::max_element(kept, {}, &ProgressItem::rank));
  const std::string bar =
      room() >= kNarrowBar ? Bar(done, total, std::min(room(), kWideBar)) : std::string();
  std::string line = Cat(label, " ", bar, count, Joined(kept));
  if (bar.empty()) line.resize(std::min(line.size(), static_cast<size_t>(std::max(0, width))));
  return line;
}

void ProgressBar::Update(int64_t done, int64_t total, const std::vector<ProgressItem>& items) {
  const auto now = std::chrono::steady_clock::now();
  const bool last = done >= total;
  const auto wait = terminal_ ? std::chrono::duration_cast<std::chrono::milliseconds>(kRedraw)
                              : std::chrono::duration_cast<std::chrono::milliseconds>(kPlainLine);
  if (!last && last_.time_since_epoch().count() != 0 && now - last_ < wait) return;
  last_ = now;
  if (terminal_) {
    Clear();
    // The last column stays free: some terminals begin a new line there.
    std::cerr << ProgressLine(label_, done, total, items, TerminalWidth() - 1) << std::flush;
    shown_ = true;
  } else {
    std::cerr << label_ << " " << done << "/" << total << Joined(items) << "\n";
  }
}

void ProgressBar::PrintLine(const std::string& line) {
  Clear();
  std::cerr << line << "\n";
}

int TerminalWidth() {
  winsize size{};
  if (::isatty(STDERR_FILENO) == 0) return 0;
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : kUnknownWidth;
}

std::vector<std::string> Wrapped(const std::string& line, size_t width, size_t indent) {
  std::vector<std::string> pieces;
  std::string left = line;
  while (true) {
    size_t columns = 0, end = 0, space = 0;  // `end`: of what fits; `space`: the last one in it
    for (; end < left.size(); ++end) {
      const bool begins = (static_cast<unsigned char>(left[end]) & 0xc0) != 0x80;
      if (begins && columns == width) break;
      columns += begins;
      if (left[end] == ' ' && end >= indent + 1) space = end;
    }
    if (end == left.size() || width <= 2 * indent) break;
    const size_t cut = left[end] == ' ' ? end : space > 0 ? space : end;
    pieces.push_back(left.substr(0, cut));
    left = std::string(indent, ' ') + left.substr(left[cut] == ' ' ? cut + 1 : cut);
  }
  pieces.push_back(left);
  return pieces;
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
