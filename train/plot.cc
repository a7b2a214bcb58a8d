// SPDX-License-Identifier: Apache-2.0
#include "train/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "base/strings.h"

namespace retort {
namespace {

constexpr double kWidth = 720, kHeight = 240, kLeft = 64, kRight = 16, kTop = 16, kBottom = 44;
constexpr size_t kMostPoints = 1500;  // per curve; more are not visible
constexpr size_t kMostValues = 12;    // points that are marked with their values
constexpr double kFarApart = 8;       // largest over smallest value from which the axis is log
constexpr double kManyPowers = 3000;  // the same, from which only powers of ten have a tick
constexpr double kLowest = 0.01;      // share of the values below a logarithmic axis

double Fixed(double v) { return std::round(v * 100) / 100; }

// A round tick step (1, 2 or 5 times a power of ten) that divides the range into about `parts`.
double RoundStep(double range, int parts) {
  const double raw = range / parts, power = std::pow(10.0, std::floor(std::log10(raw)));
  for (double m : {1.0, 2.0, 5.0}) {
    if (m * power >= raw) return m * power;
  }
  return 10 * power;
}

// The value that kLowest of those above 0 are below; 0 if there are none. No marked point is below.
double LowEnd(const std::vector<PlotCurve>& curves) {
  std::vector<double> values;
  double least_dot = std::numeric_limits<double>::infinity();
  for (const PlotCurve& c : curves) {
    for (const PlotPoint& p : c.points) {
      if (p.y > 0) values.push_back(p.y);
      if (p.y > 0 && c.dots) least_dot = std::min(least_dot, p.y);
    }
  }
  if (values.empty()) return 0;
  const auto at =
      values.begin() + static_cast<int64_t>(kLowest * static_cast<double>(values.size()));
  std::ranges::nth_element(values, at);
  return std::min(*at, least_dot);
}

}  // namespace

std::string EscapedHtml(std::string text) {
  text = ReplaceAll(std::move(text), "&", "&amp;");
  text = ReplaceAll(std::move(text), "<", "&lt;");
  return ReplaceAll(std::move(text), "\"", "&quot;");
}

std::string ShortNumber(double value) {
  char text[32];
  const double size = std::abs(value);
  const bool large = size >= 1e4 && size < 1e6;
  std::snprintf(text, sizeof text,
                large                                       ? "%.0f"
                : size != 0 && (size < 1e-3 || size >= 1e6) ? "%.2e"
                                                            : "%.4g",
                value);
  return text;
}

Plot::Plot(std::vector<PlotCurve> curves, bool may_be_log) : curves_(std::move(curves)) {
  bool first = true;
  for (const PlotCurve& c : curves_) {
    for (const PlotPoint& p : c.points) {
      low_ = first ? p : PlotPoint{std::min(low_.x, p.x), std::min(low_.y, p.y)};
      high_ = first ? p : PlotPoint{std::max(high_.x, p.x), std::max(high_.y, p.y)};
      first = false;
    }
  }
  if (high_.x <= low_.x) high_.x = low_.x + 1;
  const double least = may_be_log && low_.y >= 0 ? LowEnd(curves_) : 0;
  log_ = least > 0 && high_.y > kFarApart * least;
  if (log_) {
    low_.y = least / 1.1, high_.y *= 1.1;
    return;
  }
  const double level = high_.y == 0 ? 1 : std::abs(high_.y) * 0.1;
  const double margin = high_.y > low_.y ? 0.05 * (high_.y - low_.y) : level;
  low_.y -= margin, high_.y += margin;
}

double Plot::X(double x) const {
  return Fixed(kLeft + (x - low_.x) / (high_.x - low_.x) * (kWidth - kLeft - kRight));
}

double Plot::Y(double y) const {
  const double share = log_ ? std::log(std::max(y, low_.y) / low_.y) / std::log(high_.y / low_.y)
                            : (y - low_.y) / (high_.y - low_.y);
  return Fixed(kHeight - kBottom - share * (kHeight - kTop - kBottom));
}

std::vector<double> Plot::Ticks() const {
  std::vector<double> ticks;
  if (log_) {
    const bool wide = high_.y > kManyPowers * low_.y;
    for (double power = std::pow(10.0, std::floor(std::log10(low_.y))); power <= high_.y;
         power *= 10) {
      for (const double m : {1.0, 2.0, 5.0}) {
        if (wide && m > 1) continue;
        if (m * power >= low_.y && m * power <= high_.y) ticks.push_back(m * power);
      }
    }
    return ticks;
  }
  const double step = RoundStep(high_.y - low_.y, 5);
  for (double y = std::ceil(low_.y / step) * step; y <= high_.y; y += step)
    ticks.push_back(std::abs(y) < step / 1e6 ? 0 : y);
  return ticks;
}

std::string Plot::Svg(const std::string& title) const {
  std::string s = Cat("<figure><figcaption>", EscapedHtml(title), log_ ? ", logarithmic" : "",
                      Legend(), "</figcaption><svg viewBox=\"0 0 ", kWidth, " ", kHeight,
                      "\" role=\"img\" aria-label=\"", EscapedHtml(title), "\">");
  for (const double y : Ticks()) {
    s += Cat("<line class=\"grid\" x1=\"", kLeft, "\" x2=\"", kWidth - kRight, "\" y1=\"", Y(y),
             "\" y2=\"", Y(y), "\"/><text x=\"", kLeft - 8, "\" y=\"", Y(y) + 4,
             "\" text-anchor=\"end\">", ShortNumber(y), "</text>");
  }
  const double across = std::max(across_.empty() ? 1.0 : 0.0, RoundStep(high_.x - low_.x, 8));
  for (double x = std::ceil(low_.x / across) * across; x <= high_.x; x += across) {
    s += Cat("<text x=\"", X(x), "\" y=\"", kHeight - kBottom + 17, "\" text-anchor=\"middle\">",
             ShortNumber(x), "</text>");
  }
  s += Cat("<text x=\"", kLeft - 8, "\" y=\"", kHeight - kBottom + 17, "\" text-anchor=\"end\">",
           across_.empty() ? "step" : EscapedHtml(across_), "</text>", MarkLines());
  for (const PlotCurve& c : curves_) s += Path(c);
  return s + "</svg></figure>\n";
}

std::string Plot::MarkLines() const {
  std::string lines;
  for (const auto& [at, label] : marks_) {
    const double x = X(at);
    lines +=
        Cat("<line class=\"mark\" x1=\"", x, "\" x2=\"", x, "\" y1=\"", kTop, "\" y2=\"",
            kHeight - kBottom, "\"/><text x=\"", x, "\" y=\"", kHeight - 8, "\" text-anchor=\"",
            x > kWidth - 60 ? "end" : "middle", "\">", EscapedHtml(label), "</text>");
  }
  return lines;
}

std::string Plot::Legend() const {
  std::string s;
  for (const PlotCurve& c : curves_) {
    if (!c.name.empty()) {
      s += Cat(" <span style=\"color:", c.colour, "\">", c.dots ? "●" : "―", " ",
               EscapedHtml(c.name), "</span>");
    }
  }
  return s;
}

std::string Plot::Dots(const PlotCurve& c, size_t every) const {
  std::string dots;
  const size_t values = c.points.size() / kMostValues + 1;
  for (size_t i = 0; i < c.points.size(); i += every) {
    const PlotPoint& p = c.points[i];
    dots += Cat("<circle cx=\"", X(p.x), "\" cy=\"", Y(p.y), "\" r=\"3.5\" fill=\"", c.colour,
                "\"><title>", across_.empty() ? "step" : EscapedHtml(across_), " ",
                ShortNumber(p.x), ": ", ShortNumber(p.y), "</title></circle>");
    // The last point always has its value, so those just before it have none.
    const bool last = i + every >= c.points.size();
    if (last || (i % values == 0 && i + values < c.points.size())) {
      const bool right = X(p.x) > kWidth - 60;
      dots += Cat("<text class=\"value\" x=\"", X(p.x), "\" y=\"", Y(p.y) - 7, "\" text-anchor=\"",
                  right ? "end" : "middle", "\">", ShortNumber(p.y), "</text>");
    }
  }
  return dots;
}

std::string Plot::Path(const PlotCurve& c) const {
  std::string points;
  const size_t every = c.points.size() / kMostPoints + 1;
  for (size_t i = 0; i < c.points.size(); i += every)
    points += Cat(X(c.points[i].x), ",", Y(c.points[i].y), " ");
  return Cat("<polyline fill=\"none\" stroke=\"", c.colour, "\" stroke-width=\"1.6\" points=\"",
             points, "\"/>", c.dots ? Dots(c, every) : "");
}

}  // namespace retort
