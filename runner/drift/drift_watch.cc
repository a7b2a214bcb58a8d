// SPDX-License-Identifier: Apache-2.0
#include "runner/drift/drift_watch.h"

#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/prometheus.h"
#include "base/strings.h"

namespace retort {
namespace {

// A gauge with a sample for each statistic that `value` knows one of.
void WriteGauge(const std::string& name, const std::string& help,
                const std::function<std::optional<double>(size_t statistic)>& value,
                std::string& out) {
  WriteMetricHead(name, "gauge", help, out);
  for (size_t s = 0; s < kDriftStatistics.size(); ++s) {
    const std::optional<double> known = value(s);
    if (known) out += Cat(name, "{statistic=\"", kDriftStatistics[s].name, "\"} ", *known, "\n");
  }
}

}  // namespace

DriftWatch::DriftWatch(DriftOptions options, std::string model, Post post)
    : model_(std::move(model)),
      on_(options.on()),
      post_(std::move(post)),
      refusals_(options.baseline ? options.baseline->refusals : options.refusals),
      options_(std::move(options)) {
  if (!on_) return;
  if (options_.window < kLeastAnswers)
    throw InputError("the window for drift must be at least ", kLeastAnswers, " answers, not ",
                     options_.window);
  answers_.reserve(static_cast<size_t>(options_.window));
}

void DriftWatch::Add(const ApiChoice& choice) {
  if (!on_) return;
  const auto figures = FiguresOf(choice, refusals_);
  if (figures && Keep(*figures)) post_([this] { Write(); });
}

bool DriftWatch::Keep(const AnswerFigures& figures) {
  const std::lock_guard lock(mutex_);
  sums_.Add(figures);
  if (std::ssize(answers_) < options_.window) {
    answers_.push_back(figures);
    if (std::ssize(answers_) < options_.window || options_.baseline) return false;
    Record();
    return true;
  }
  sums_.Remove(std::exchange(answers_[next_], figures));
  next_ = (next_ + 1) % answers_.size();
  return false;
}

void DriftWatch::Record() {
  options_.baseline = {model_, Rfc3339(SecondsSince1970()), refusals_, sums_.Summary()};
  unwritten_ = answers_.size();
  answers_.clear();
  sums_ = {};
}

void DriftWatch::OnNewModel() {
  const std::lock_guard lock(mutex_);
  if (!on_ || options_.baseline) return;
  answers_.clear();
  sums_ = {};
}

void DriftWatch::Write() {
  const std::lock_guard writing(writing_);
  std::unique_lock lock(mutex_);
  if (!unwritten_) return;
  const size_t answers = *std::exchange(unwritten_, std::nullopt);
  const DriftBaseline baseline = *options_.baseline;
  lock.unlock();
  std::string note =
      Cat(options_.record.string(), ": the baseline of ", answers, " answers is written");
  try {
    WriteDriftBaseline(options_.record, baseline);
  } catch (const Error& e) {
    note = Cat("the baseline could not be written: ", e.what());
  }
  if (options_.on_recorded) options_.on_recorded(note);
}

void DriftWatch::Finish() {
  std::unique_lock lock(mutex_);
  if (options_.record.empty()) return;
  const size_t answers = answers_.size();
  const bool few = !options_.baseline && std::ssize(answers_) < kLeastAnswers;
  if (!options_.baseline && !few) Record();
  lock.unlock();
  if (!few) return Write();
  if (options_.on_recorded)
    options_.on_recorded(Cat(options_.record.string(), ": no baseline is written, since ", answers,
                             " answers are fewer than ", kLeastAnswers));
}

std::string DriftWatch::Text() const {
  if (!on_) return "";
  const std::lock_guard lock(mutex_);
  const DriftSummary now = sums_.Summary();
  const auto of_baseline = [&](size_t s) -> std::optional<double> {
    if (!options_.baseline || options_.baseline->summary[s].answers == 0) return std::nullopt;
    return options_.baseline->summary[s].mean;
  };
  std::string out;
  WriteMetric("retort_drift_window_answers", "gauge",
              "Answers that are compared with the baseline.", answers_.size(), out);
  WriteGauge(
      "retort_drift_answers", "Of the window's answers, those that say something of it.",
      [&](size_t s) { return std::optional(static_cast<double>(now[s].answers)); }, out);
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
