// SPDX-License-Identifier: Apache-2.0
#include "runner/drift/drift_watch.h"

#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/strings.h"

namespace retort {
namespace {

// A gauge with a sample for each statistic that `value` knows one of.
void WriteGauge(const std::string& name, const std::string& help,
                const std::function<std::optional<double>(size_t statistic)>& value,
                std::string& out) {
  out += Cat("# HELP ", name, " ", help, "\n# TYPE ", name, " gauge\n");
  for (size_t s = 0; s < kDriftStatistics.size(); ++s) {
    const std::optional<double> known = value(s);
    if (known) out += Cat(name, "{statistic=\"", kDriftStatistics[s].name, "\"} ", *known, "\n");
  }
}

}  // namespace

DriftWatch::DriftWatch(DriftOptions options, std::string model)
    : model_(std::move(model)), on_(options.on()), options_(std::move(options)) {
  if (!on_) return;
  if (options_.window < kLeastAnswers)
    throw InputError("the window for drift must be at least ", kLeastAnswers, " answers, not ",
                     options_.window);
  answers_.reserve(static_cast<size_t>(options_.window));
}

void DriftWatch::Add(const ApiChoice& choice) {
  if (!on_) return;
  const std::lock_guard lock(mutex_);
  const auto figures =
      FiguresOf(choice, options_.baseline ? options_.baseline->refusals : options_.refusals);
  if (!figures) return;
  if (std::ssize(answers_) < options_.window) {
    answers_.push_back(*figures);
    if (std::ssize(answers_) == options_.window && !options_.baseline) Record();
    return;
  }
  answers_[next_] = *figures;
  next_ = (next_ + 1) % answers_.size();
}

void DriftWatch::Record() {
  DriftBaseline baseline{model_, Rfc3339(SecondsSince1970()), options_.refusals,
                         SummaryOf(answers_)};
  const std::string file = options_.record.string();
  std::string note = Cat(file, ": the baseline of ", answers_.size(), " answers is written");
  try {
    WriteDriftBaseline(options_.record, baseline);
  } catch (const Error& e) {
    note = Cat("the baseline could not be written: ", e.what());
  }
  options_.baseline = std::move(baseline);
  answers_.clear();
  if (options_.on_recorded) options_.on_recorded(note);
}

void DriftWatch::Finish() {
  const std::lock_guard lock(mutex_);
  if (options_.record.empty() || options_.baseline) return;
  if (std::ssize(answers_) >= kLeastAnswers) return Record();
  if (options_.on_recorded)
    options_.on_recorded(Cat(options_.record.string(), ": no baseline is written, since ",
                             answers_.size(), " answers are fewer than ", kLeastAnswers));
}

std::string DriftWatch::Text() const {
  if (!on_) return "";
  const std::lock_guard lock(mutex_);
  const DriftSummary now = SummaryOf(answers_);
  const auto of_baseline = [&](size_t s) -> std::optional<double> {
    if (!options_.baseline || options_.baseline->summary[s].answers == 0) return std::nullopt;
    return options_.baseline->summary[s].mean;
  };
  std::string out =
      Cat("# HELP retort_drift_window_answers Answers that are compared with the baseline.\n"
          "# TYPE retort_drift_window_answers gauge\nretort_drift_window_answers ",
          answers_.size(), "\n");
  WriteGauge(
      "retort_drift_mean", "Of the window's answers.",
      [&](size_t s) { return now[s].answers > 0 ? std::optional(now[s].mean) : std::nullopt; },
      out);
  WriteGauge("retort_drift_baseline_mean", "Of the baseline's answers.", of_baseline, out);
  WriteGauge(
      "retort_drift_score", "Standard errors between the window's mean and the baseline's.",
      [&](size_t s) -> std::optional<double> {
        if (!of_baseline(s) || now[s].answers < kLeastAnswers) return std::nullopt;
        return DriftScore(kDriftStatistics[s], options_.baseline->summary[s], now[s]);
      },
      out);
  return out;
}

}  // namespace retort
