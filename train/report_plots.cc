// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <map>

#include "base/strings.h"
#include "train/plot.h"
#include "train/report_parts.h"

namespace retort {
namespace {

constexpr const char *kPale = "#9db7e0", *kBlue = "#2f6fd0", *kGreen = "#2f8f6b",
                     *kOrange = "#d9622b", *kViolet = "#8a5cc4", *kGrey = "#5f6b7a";

using ValueOf = std::function<double(const MetricsLine&)>;

std::vector<PlotPoint> StepPoints(const std::vector<MetricsLine>& metrics, const ValueOf& value) {
  std::vector<PlotPoint> out;
  for (const MetricsLine& line : metrics) {
    if (!line.eval_loss) out.push_back({static_cast<double>(line.metrics.step), value(line)});
  }
  return out;
}

std::vector<PlotPoint> HeldOutPoints(const ReportFacts& facts) {
  std::vector<PlotPoint> out;
  if (facts.start) out.push_back({0, facts.start->loss});
  for (const MetricsLine& line : facts.metrics) {
    if (line.eval_loss) out.push_back({static_cast<double>(line.metrics.step), *line.eval_loss});
  }
  return out;
}

// Exponential moving average, for display: a step's weight halves every hundredth of the run. The
// first values count as one, not as if others had stood before them.
std::vector<PlotPoint> Smoothed(std::vector<PlotPoint> points) {
  const double keep =
      std::pow(0.5, 100.0 / std::max<double>(100, static_cast<double>(points.size())));
  double sum = 0, weight = 0;
  for (PlotPoint& p : points) {
    sum = keep * sum + (1 - keep) * p.y;
    weight = keep * weight + 1 - keep;
    p.y = sum / weight;
  }
  return points;
}

void MarkBest(const ReportFacts& facts, Plot& plot) {
  if (facts.best_step > 0) plot.Mark(static_cast<double>(facts.best_step), "best");
}

// Plot of the loss's components; empty without a teacher. The held-out loss is a cross-entropy, so
// it is drawn here too.
std::string PartsPlot(const ReportFacts& facts, const std::vector<PlotPoint>& held_out) {
  const auto kd = StepPoints(facts.metrics, [](const MetricsLine& l) { return l.metrics.kd; });
  if (std::ranges::all_of(kd, [](const PlotPoint& p) { return p.y == 0; })) return "";
  const auto ce = StepPoints(facts.metrics, [](const MetricsLine& l) { return l.metrics.ce; });
  std::vector<PlotCurve> parts = {{"cross-entropy", kBlue, Smoothed(ce)},
                                  {"divergence from the teacher", kGreen, Smoothed(kd)}};
  if (!held_out.empty()) parts.push_back({"held out", kOrange, held_out, true});
  Plot plot(parts, true);
  MarkBest(facts, plot);
  return plot.Svg("What the loss is made of, smoothed");
}

// A plot of each further figure: of the steps, and of the evaluations as dots.
std::string ExtrasPlots(const ReportFacts& facts) {
  std::map<std::string, std::vector<PlotPoint>> steps, evaluations;
  if (facts.start) {
    for (const auto& [name, value] : facts.start->extras) evaluations[name] = {{0, value}};
  }
  for (const MetricsLine& line : facts.metrics) {
    for (const auto& [name, value] : line.metrics.extras) {
      auto& points = line.eval_loss ? evaluations[name] : steps[name];
      points.push_back({static_cast<double>(line.metrics.step), value});
    }
  }
  for (const auto& [name, points] : steps) evaluations.try_emplace(name);
  std::string out;
  for (const auto& [name, points] : evaluations) {
    std::vector<PlotCurve> curves;
    if (steps.contains(name)) curves.push_back({"smoothed", kBlue, Smoothed(steps[name])});
    if (!points.empty()) curves.push_back({"held out", kOrange, points, true});
    Plot plot(curves);
    MarkBest(facts, plot);
    out += plot.Svg(Cat(static_cast<char>(std::toupper(name[0])), name.substr(1)));
  }
  return out;
}

}  // namespace

std::string ReportPlots(const ReportFacts& facts) {
  const auto loss = StepPoints(facts.metrics, [](const MetricsLine& l) { return l.metrics.loss; });
  if (loss.empty()) return "";
  const auto held_out = HeldOutPoints(facts);
  const std::string parts = PartsPlot(facts, held_out);
  std::vector<PlotCurve> losses = {{"each step", kPale, loss}, {"smoothed", kBlue, Smoothed(loss)}};
  if (!held_out.empty() && parts.empty()) losses.push_back({"held out", kOrange, held_out, true});
  Plot whole(losses, true);
  if (parts.empty()) MarkBest(facts, whole);
  const auto one = [&](const char* title, const char* colour, bool may_be_log,
                       const ValueOf& value) {
    return Plot({{"", colour, StepPoints(facts.metrics, value)}}, may_be_log).Svg(title);
  };
  return Cat(
      whole.Svg("Loss per token"), parts, ExtrasPlots(facts),
      one("Gradient norm, before clipping", kGreen, true,
          [](const MetricsLine& l) { return l.metrics.grad_norm; }),
      one("Learning rate", kViolet, false, [](const MetricsLine& l) { return l.metrics.lr; }),
      one("Tokens per second", kGrey, false,
          [](const MetricsLine& l) { return l.tokens_per_second; }));
}

}  // namespace retort
