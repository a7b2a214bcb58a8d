// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "train/plot.h"
#include "train/report_parts.h"

namespace retort {
namespace {

// The beginning of a long text.
std::string Shortened(const std::string& text) {
  constexpr size_t kMost = 300;
  if (text.size() <= kMost) return text;
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

std::string FactRow(const std::string& name, const std::string& text) {
  return Cat("<tr><th>", EscapedHtml(name), "</th><td>", EscapedHtml(text), "</td></tr>");
}

std::string Tile(const std::string& value, const std::string& what) {
  return Cat("<div><b>", EscapedHtml(value), "</b><span>", EscapedHtml(what), "</span></div>");
}

// The last evaluation, or the best one if that is known.
const MetricsLine* ShownEvaluation(const ReportFacts& facts) {
  const MetricsLine* shown = nullptr;
  for (const MetricsLine& line : facts.metrics) {
    if (line.eval_loss && (!shown || line.metrics.step <= facts.best_step)) shown = &line;
  }
  return shown;
}

std::string EvaluationTiles(const ReportFacts& facts) {
  const MetricsLine* shown = ShownEvaluation(facts);
  if (!shown) return "";
  const std::string at = Cat(" at step ", shown->metrics.step);
  const auto before = [&](double value) { return Cat("; ", ShortNumber(value), " before"); };
  std::string out = Tile(ShortNumber(*shown->eval_loss),
                         Cat("held-out loss", at, facts.start ? before(facts.start->loss) : ""));
  for (const auto& [name, value] : shown->metrics.extras) {
    std::string old;
    if (facts.start) {
      const auto found = std::ranges::find(facts.start->extras, name, &Extra::first);
      if (found != facts.start->extras.end()) old = before(found->second);
    }
    out += Tile(ShortNumber(value), Cat("held-out ", name, at, old));
  }
  return out;
}

}  // namespace

std::string ReportDuration(double seconds) {
  const auto s = std::llround(seconds);
  char text[48];
  if (s < 60) {
    std::snprintf(text, sizeof text, "%d s", static_cast<int>(s));
  } else if (s < 3600) {
    std::snprintf(text, sizeof text, "%d:%02d", static_cast<int>(s / 60), static_cast<int>(s % 60));
  } else {
    std::snprintf(text, sizeof text, "%lld:%02d:%02d", s / 3600, static_cast<int>(s / 60 % 60),
                  static_cast<int>(s % 60));
  }
  return text;
}

std::string ReportTiles(const ReportFacts& facts) {
  const MetricsLine *first = nullptr, *last = nullptr;
  double seconds = 0;
  for (const MetricsLine& line : facts.metrics) {
    if (line.eval_loss) continue;
    if (!first) first = &line;
    last = &line;
    seconds += line.metrics.seconds;
  }
  if (!last) return "";
  return Cat(
      "<div class=\"tiles\">",
      Tile(ShortNumber(last->metrics.loss), Cat("loss at step ", last->metrics.step, "; ",
                                                ShortNumber(first->metrics.loss), " at the first")),
      EvaluationTiles(facts), Tile(ReportDuration(seconds), "in steps, without evaluations"),
      Tile(ShortNumber(std::round(last->tokens_per_second)), "tokens per second"),
      Tile(BytesText(last->peak_bytes), "of tensors, at most"), "</div>\n");
}

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

std::string NotesList(const std::vector<std::string>& notes) {
  if (notes.empty()) return "";
  std::string items;
  for (const std::string& note : notes) items += Cat("<li>", EscapedHtml(note), "</li>");
  return Cat("<h2>Notes</h2><ul>", items, "</ul>\n");
}

std::string ComparisonTable(const std::vector<ComparedRun>& runs) {
  if (runs.empty()) return "";
  std::string rows;
  for (const ComparedRun& run : runs) {
    rows +=
        Cat("<tr><td>",
            run.own ? Cat("<b>", EscapedHtml(run.name), "</b>, this one") : EscapedHtml(run.name),
            "</td><td>", EscapedHtml(run.own ? "" : run.differs), "</td><td class=\"number\">",
            run.steps, "</td><td class=\"number\">", ShortNumber(run.loss),
            "</td><td class=\"number\">", run.held_out ? ShortNumber(*run.held_out) : "",
            "</td><td class=\"number\">", ReportDuration(run.seconds), "</td><td>",
            run.finished ? "" : "under way", "</td></tr>");
  }
  return Cat(
      "<h2>Runs on the same rows, in the folders beside</h2><table><tr><th>run</th>"
      "<th>what differs</th><th class=\"number\">steps</th><th class=\"number\">loss</th>"
      "<th class=\"number\">held-out ",
      EscapedHtml(runs.front().measure), "</th><th class=\"number\">time</th><th></th></tr>", rows,
      "</table>\n");
}

std::string FactsTable(const ReportAbout& about) {
  std::string rows, bars;
  for (const auto& [name, text] : about.facts) rows += FactRow(name, text);
  int64_t most = 1;
  for (const auto& [range, count] : about.lengths) most = std::max(most, count);
  for (const auto& [range, count] : about.lengths) {
    bars +=
        Cat("<tr><th>", EscapedHtml(range), " tokens</th><td class=\"number\">", count,
            "</td><td class=\"bar\"><i style=\"width:", std::max<int64_t>(1, 100 * count / most),
            "%\"></i></td></tr>");
  }
  if (!rows.empty())
    rows = Cat("<h2>What was trained on what</h2><table class=\"named\">", rows, "</table>\n");
  if (!bars.empty())
    bars = Cat("<h2>Training rows by their length</h2><table class=\"named\">", bars, "</table>\n");
  return rows + bars;
}

std::string JsonTable(const std::string& title, const Json& object) {
  std::string rows;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_object()) {
      rows += FactRow(key, DumpJson(value));
      continue;
    }
    for (const auto& [inner, v] : value.items()) rows += FactRow(Cat(key, ".", inner), DumpJson(v));
  }
  return Cat("<h2>", title, "</h2><table class=\"named\">", rows, "</table>\n");
}

}  // namespace retort
