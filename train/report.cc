// SPDX-License-Identifier: Apache-2.0
#include "train/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace retort {
namespace {

constexpr double kWidth = 720, kHeight = 240, kLeft = 64, kRight = 16, kTop = 12, kBottom = 30;
constexpr size_t kMostPoints = 1500;  // per curve; more are not visible

struct Point {
  double x, y;
};
struct Curve {
  std::string name, colour;
  std::vector<Point> points;
  bool dots = false;
};

std::string Escaped(std::string text) {
  text = ReplaceAll(std::move(text), "&", "&amp;");
  text = ReplaceAll(std::move(text), "<", "&lt;");
  return ReplaceAll(std::move(text), "\"", "&quot;");
}

std::string Number(double v) {
  char text[32];
  const double size = std::abs(v);
  std::snprintf(text, sizeof text, size != 0 && (size < 1e-3 || size >= 1e6) ? "%.2e" : "%.4g", v);
  return text;
}

// A round tick step (1, 2 or 5 times a power of ten) that divides the range into about `parts`.
double RoundStep(double range, int parts) {
  const double raw = range / parts, power = std::pow(10.0, std::floor(std::log10(raw)));
  for (double m : {1.0, 2.0, 5.0}) {
    if (m * power >= raw) return m * power;
  }
  return 10 * power;
}

class Plot {
 public:
  explicit Plot(std::vector<Curve> curves) : curves_(std::move(curves)) {
    bool first = true;
    for (const Curve& c : curves_) {
      for (const Point& p : c.points) {
        low_ = first ? p : Point{std::min(low_.x, p.x), std::min(low_.y, p.y)};
        high_ = first ? p : Point{std::max(high_.x, p.x), std::max(high_.y, p.y)};
        first = false;
      }
    }
    if (high_.x <= low_.x) high_.x = low_.x + 1;
    const double margin =
        high_.y > low_.y ? 0.05 * (high_.y - low_.y) : std::max(1e-9, std::abs(high_.y) * 0.1);
    low_.y -= margin, high_.y += margin;
  }

  std::string Svg(const std::string& title) const {
    std::string s =
        Cat("<figure><figcaption>", Escaped(title), Legend(), "</figcaption><svg viewBox=\"0 0 ",
            kWidth, " ", kHeight, "\" role=\"img\" aria-label=\"", Escaped(title), "\">");
    const double step = RoundStep(high_.y - low_.y, 4);
    for (double y = std::ceil(low_.y / step) * step; y <= high_.y; y += step) {
      s += Cat("<line class=\"grid\" x1=\"", kLeft, "\" x2=\"", kWidth - kRight, "\" y1=\"", Y(y),
               "\" y2=\"", Y(y), "\"/><text x=\"", kLeft - 8, "\" y=\"", Y(y) + 4,
               "\" text-anchor=\"end\">", Number(std::abs(y) < step / 1e6 ? 0 : y), "</text>");
    }
    const double across = std::max(1.0, RoundStep(high_.x - low_.x, 8));
    for (double x = std::ceil(low_.x / across) * across; x <= high_.x; x += across) {
      s += Cat("<text x=\"", X(x), "\" y=\"", kHeight - 8, "\" text-anchor=\"middle\">", Number(x),
               "</text>");
    }
    for (const Curve& c : curves_) s += Path(c);
    return s + "</svg></figure>\n";
  }

 private:
  double X(double x) const {
    return Fixed(kLeft + (x - low_.x) / (high_.x - low_.x) * (kWidth - kLeft - kRight));
  }
  double Y(double y) const {
    return Fixed(kHeight - kBottom -
                 (y - low_.y) / (high_.y - low_.y) * (kHeight - kTop - kBottom));
  }
  static double Fixed(double v) { return std::round(v * 100) / 100; }

  std::string Legend() const {
    std::string s;
    for (const Curve& c : curves_) {
      if (!c.name.empty())
        s += Cat(" <span style=\"color:", c.colour, "\">", c.dots ? "●" : "―", " ", c.name,
                 "</span>");
    }
    return s;
  }

  std::string Path(const Curve& c) const {
    std::string points, dots;
    const size_t every = c.points.size() / kMostPoints + 1;
    for (size_t i = 0; i < c.points.size(); i += every) {
      const Point& p = c.points[i];
      points += Cat(X(p.x), ",", Y(p.y), " ");
      if (c.dots)
        dots += Cat("<circle cx=\"", X(p.x), "\" cy=\"", Y(p.y), "\" r=\"3.5\" fill=\"", c.colour,
                    "\"/>");
    }
    return Cat("<polyline fill=\"none\" stroke=\"", c.colour, "\" stroke-width=\"1.6\" points=\"",
               points, "\"/>", dots);
  }

  std::vector<Curve> curves_;
  Point low_{0, 0}, high_{1, 1};
};

std::vector<Point> PointsOf(const std::vector<MetricsLine>& metrics, bool eval,
                            const std::function<double(const MetricsLine&)>& value) {
  std::vector<Point> out;
  for (const MetricsLine& line : metrics) {
    if (line.eval_loss.has_value() == eval)
      out.push_back({static_cast<double>(line.metrics.step), value(line)});
  }
  return out;
}

// Exponential moving average, for display: a step's weight halves every hundredth of the run.
std::vector<Point> Smoothed(std::vector<Point> points) {
  const double keep =
      std::pow(0.5, 100.0 / std::max<double>(100, static_cast<double>(points.size())));
  for (size_t i = 1; i < points.size(); ++i)
    points[i].y = keep * points[i - 1].y + (1 - keep) * points[i].y;
  return points;
}

std::string Table(const std::string& title, const Json& object) {
  std::string rows;
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      for (const auto& [inner, v] : value.items()) {
        rows += Cat("<tr><th>", Escaped(key), ".", Escaped(inner), "</th><td>",
                    Escaped(DumpJson(v)), "</td></tr>");
      }
    } else {
      rows += Cat("<tr><th>", Escaped(key), "</th><td>", Escaped(DumpJson(value)), "</td></tr>");
    }
  }
  return Cat("<h2>", title, "</h2><table>", rows, "</table>\n");
}

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ink:#1c2430;--soft:#667085;--line:#e3e7ee;--paper:#fff}
@media(prefers-color-scheme:dark){
:root{--ink:#e6e9ef;--soft:#98a2b3;--line:#2b3340;--paper:#12161d}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:780px;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.05rem;margin:2rem 0 .5rem}
p{color:var(--soft);margin:.2rem 0 1.5rem}
figure{margin:0 0 1.5rem}
figcaption{font-weight:600}
figcaption span{font-weight:400;font-size:.85rem;margin-left:.8rem}
svg{width:100%;height:auto}svg text{font-size:11px;fill:var(--soft)}.grid{stroke:var(--line)}
table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{text-align:left;padding:.2rem .6rem .2rem 0;border-bottom:1px solid var(--line);
vertical-align:top;overflow-wrap:anywhere}
th{font-weight:500;color:var(--soft);width:16rem})";

// Plot of the loss's components; empty without a teacher. The held-out loss is a cross-entropy, so
// it is drawn here too.
std::string PartsPlot(const std::vector<MetricsLine>& metrics, const std::vector<Point>& held_out) {
  const auto kd = PointsOf(metrics, false, [](const MetricsLine& l) { return l.metrics.kd; });
  if (std::ranges::all_of(kd, [](const Point& p) { return p.y == 0; })) return "";
  const auto ce = PointsOf(metrics, false, [](const MetricsLine& l) { return l.metrics.ce; });
  std::vector<Curve> parts = {{"cross-entropy", "#2f6fd0", Smoothed(ce)},
                              {"divergence from the teacher", "#2f8f6b", Smoothed(kd)}};
  if (!held_out.empty()) parts.push_back({"held out", "#d9622b", held_out, true});
  return Plot(parts).Svg("What the loss is made of, smoothed");
}

}  // namespace

std::string ReportPage(const std::string& title, const std::vector<MetricsLine>& metrics,
                       const Json& recipe, const Json& summary) {
  const auto loss = PointsOf(metrics, false, [](const MetricsLine& l) { return l.metrics.loss; });
  std::vector<Curve> losses = {{"each step", "#9db7e0", loss},
                               {"smoothed", "#2f6fd0", Smoothed(loss)}};
  const auto held_out = PointsOf(metrics, true, [](const MetricsLine& l) { return *l.eval_loss; });
  const std::string parts = PartsPlot(metrics, held_out);
  if (!held_out.empty() && parts.empty()) losses.push_back({"held out", "#d9622b", held_out, true});
  const auto one = [&](const char* name, const char* colour, auto value) {
    return Plot({{name, colour, PointsOf(metrics, false, value)}});
  };
  return Cat(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>",
      Escaped(title), "</title><style>", kStyle, "</style></head><body>\n<h1>", Escaped(title),
      "</h1><p>A training run of Retort.</p>\n", Plot(losses).Svg("Loss per token"), parts,
      one("", "#2f8f6b", [](const MetricsLine& l) { return l.metrics.grad_norm; })
          .Svg("Gradient norm, before clipping"),
      one("", "#8a5cc4", [](const MetricsLine& l) { return l.metrics.lr; }).Svg("Learning rate"),
      one("", "#5f6b7a", [](const MetricsLine& l) { return l.tokens_per_second; })
          .Svg("Tokens per second"),
      Table("Result", summary), Table("Recipe", recipe), "</body></html>\n");
}

}  // namespace retort
