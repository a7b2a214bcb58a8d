// SPDX-License-Identifier: Apache-2.0
#include "train/report.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "train/plot.h"

namespace retort {
namespace {

std::vector<PlotPoint> PointsOf(const std::vector<MetricsLine>& metrics, bool eval,
                                const std::function<double(const MetricsLine&)>& value) {
  std::vector<PlotPoint> out;
  for (const MetricsLine& line : metrics) {
    if (line.eval_loss.has_value() == eval)
      out.push_back({static_cast<double>(line.metrics.step), value(line)});
  }
  return out;
}

// Exponential moving average, for display: a step's weight halves every hundredth of the run.
std::vector<PlotPoint> Smoothed(std::vector<PlotPoint> points) {
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
        rows += Cat("<tr><th>", EscapedHtml(key), ".", EscapedHtml(inner), "</th><td>",
                    EscapedHtml(DumpJson(v)), "</td></tr>");
      }
    } else {
      rows += Cat("<tr><th>", EscapedHtml(key), "</th><td>", EscapedHtml(DumpJson(value)),
                  "</td></tr>");
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
th{font-weight:500;color:var(--soft);width:16rem}
.samples td,.samples th{width:25%;white-space:pre-wrap})";

// Plot of the loss's components; empty without a teacher. The held-out loss is a cross-entropy, so
// it is drawn here too.
std::string PartsPlot(const std::vector<MetricsLine>& metrics,
                      const std::vector<PlotPoint>& held_out) {
  const auto kd = PointsOf(metrics, false, [](const MetricsLine& l) { return l.metrics.kd; });
  if (std::ranges::all_of(kd, [](const PlotPoint& p) { return p.y == 0; })) return "";
  const auto ce = PointsOf(metrics, false, [](const MetricsLine& l) { return l.metrics.ce; });
  std::vector<PlotCurve> parts = {{"cross-entropy", "#2f6fd0", Smoothed(ce)},
                                  {"divergence from the teacher", "#2f8f6b", Smoothed(kd)}};
  if (!held_out.empty()) parts.push_back({"held out", "#d9622b", held_out, true});
  return Plot(parts).Svg("What the loss is made of, smoothed");
}

// A plot of each further figure: of the steps, and of the evaluations as dots.
std::string ExtrasPlots(const std::vector<MetricsLine>& metrics) {
  std::map<std::string, std::vector<PlotPoint>> steps, evaluations;
  for (const MetricsLine& line : metrics) {
    for (const auto& [name, value] : line.metrics.extras) {
      auto& points = line.eval_loss ? evaluations[name] : steps[name];
      points.push_back({static_cast<double>(line.metrics.step), value});
    }
  }
  for (const auto& [name, points] : steps) evaluations.try_emplace(name);
  std::string out;
  for (const auto& [name, points] : evaluations) {
    std::vector<PlotCurve> curves;
    if (steps.contains(name)) curves.push_back({"smoothed", "#2f6fd0", Smoothed(steps[name])});
    if (!points.empty()) curves.push_back({"held out", "#d9622b", points, true});
    out += Plot(curves).Svg(Cat(static_cast<char>(std::toupper(name[0])), name.substr(1)));
  }
  return out;
}

// The beginning of a long text.
std::string Shortened(const std::string& text) {
  constexpr size_t kMost = 300;
  if (text.size() <= kMost) return text;
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

// What was answered before the first step and at the best or, without that, the last evaluation.
std::string SamplesTable(const std::vector<SampleLine>& lines, int64_t best_step) {
  int64_t shown = 0;
  for (const SampleLine& line : lines) {
    if (shown != best_step) shown = line.step;
  }
  std::string rows;
  for (const SampleLine& after : lines) {
    if (after.step != shown || shown == 0) continue;
    std::string before;
    for (const SampleLine& line : lines) {
      if (line.step == 0 && line.sample.where == after.sample.where) before = line.sample.answer;
    }
    const bool same = Strip(after.sample.answer) == Strip(after.sample.wanted);
    rows += Cat("<tr><td>", EscapedHtml(Shortened(after.sample.prompt)), "</td><td>",
                EscapedHtml(Shortened(after.sample.wanted)), "</td><td>",
                EscapedHtml(Shortened(before)), "</td><td>", same ? "✓ " : "",
                EscapedHtml(Shortened(after.sample.answer)), "</td></tr>");
  }
  if (rows.empty()) return "";
  return Cat(
      "<h2>Answers to held-out prompts</h2><table class=\"samples\"><tr><th>prompt</th>"
      "<th>wanted</th><th>before</th><th>at step ",
      shown, "</th></tr>", rows, "</table>\n");
}

}  // namespace

std::string ReportPage(const ReportFacts& facts) {
  const std::vector<MetricsLine>& metrics = facts.metrics;
  const auto loss = PointsOf(metrics, false, [](const MetricsLine& l) { return l.metrics.loss; });
  std::vector<PlotCurve> losses = {{"each step", "#9db7e0", loss},
                                   {"smoothed", "#2f6fd0", Smoothed(loss)}};
  const auto held_out = PointsOf(metrics, true, [](const MetricsLine& l) { return *l.eval_loss; });
  const std::string parts = PartsPlot(metrics, held_out);
  if (!held_out.empty() && parts.empty()) losses.push_back({"held out", "#d9622b", held_out, true});
  const auto one = [&](const char* colour, auto value) {
    return Plot({{"", colour, PointsOf(metrics, false, value)}});
  };
  const bool finished = !facts.summary.is_null();
  return Cat(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">",
      finished ? "" : "<meta http-equiv=\"refresh\" content=\"20\">", "<title>",
      EscapedHtml(facts.title), "</title><style>", kStyle, "</style></head><body>\n<h1>",
      EscapedHtml(facts.title), "</h1><p>", EscapedHtml(facts.status), "</p>\n",
      Plot(losses, true).Svg("Loss per token"), parts, ExtrasPlots(metrics),
      one("#2f8f6b", [](const MetricsLine& l) { return l.metrics.grad_norm; })
          .Svg("Gradient norm, before clipping"),
      one("#8a5cc4", [](const MetricsLine& l) { return l.metrics.lr; }).Svg("Learning rate"),
      one("#5f6b7a", [](const MetricsLine& l) { return l.tokens_per_second; })
          .Svg("Tokens per second"),
      SamplesTable(facts.samples, facts.best_step),
      finished ? Table("Result", facts.summary) : std::string(), Table("Recipe", facts.recipe),
      "</body></html>\n");
}

}  // namespace retort
