// SPDX-License-Identifier: Apache-2.0
#include "train/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/seal.h"
#include "model/store/base_check.h"
#include "train/metrics.h"
#include "train/report.h"

namespace retort {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kSpeedSteps = 20;  // speed is averaged over this many last steps

// Tokens per second and seconds per step, averaged over the last steps.
class Speed {
 public:
  void Add(const StepMetrics& m) {
    last_.push_back({m.tokens, m.seconds});
    if (last_.size() > kSpeedSteps) last_.pop_front();
  }
  double tokens_per_second() const {
    const auto [tokens, seconds] = Sums();
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
  }
  double seconds_per_step() const {
    return last_.empty() ? 0 : Sums().second / static_cast<double>(last_.size());
  }

 private:
  std::pair<int64_t, double> Sums() const {
    std::pair<int64_t, double> sums{0, 0};
    for (const auto& [tokens, seconds] : last_) sums = {sums.first + tokens, sums.second + seconds};
    return sums;
  }
  std::deque<std::pair<int64_t, double>> last_;
};

class TrainingRun {
 public:
  TrainingRun(Trainer& trainer, const BaseRecord& base, const RunOptions& options,
              const RunHooks& hooks)
      : trainer_(trainer),
        base_(base),
        options_(options),
        hooks_(hooks),
        trained_(options.folder / (trainer.adapter() ? "adapter" : "model")) {}

  RunSummary Run() {
    RequireSecret();  // for the checkpoints' seals
    summary_.trained = trained_;
    EvaluateStart();
    Resume();
    MetricsFile metrics(options_.folder / "metrics.jsonl", trainer_.steps_done());
    while (!MayStop() && trainer_.steps_done() < options_.total_steps) {
      const std::optional<StepMetrics> m = trainer_.Step();
      if (!m) break;
      AfterStep(*m, metrics);
    }
    if (MayStop()) {
      if (trainer_.steps_done() > 0) Checkpoint();
      summary_.stopped = true;
      summary_.seconds = Seconds();
    } else {
      Finish(metrics);
    }
    return summary_;
  }

 private:
  bool MayStop() const { return hooks_.stop && hooks_.stop(); }
  double Seconds() const {
    return earlier_seconds_ + std::chrono::duration<double>(Clock::now() - start_).count();
  }

  // The held-out loss of the weights that the run begins with: measured before a checkpoint is
  // loaded, or read if an earlier session has measured it.
  void EvaluateStart() {
    if (!hooks_.evaluate) return;
    const Path file = options_.folder / "start.json";
    const bool resumed = LastCheckpoint(options_.folder / "checkpoints").has_value();
    if (resumed && std::filesystem::exists(file)) {
      summary_.start_eval_loss = GetNumber(ReadJson(file), "eval_loss", file.string());
      return;
    }
    summary_.start_eval_loss = Measured(0).loss;
    WriteTextAtomically(file, DumpJson({{"eval_loss", *summary_.start_eval_loss}}, 2) + "\n");
  }

  void Resume() {
    const auto place = LastCheckpoint(options_.folder / "checkpoints");
    if (!place) return;
    LoadCheckpoint(place->folder, trainer_, base_, options_.inputs);
    for (const MetricsLine& line : ReadMetrics(options_.folder / "metrics.jsonl")) {
      if (line.metrics.step > place->step) break;
      if (line.eval_loss) {
        summary_.eval_loss =
            std::min(summary_.eval_loss.value_or(*line.eval_loss), *line.eval_loss);
        evaluated_step_ = line.metrics.step;
      } else {
        Count(line.metrics);
        earlier_seconds_ += line.metrics.seconds;
      }
    }
  }

  void Count(const StepMetrics& m) {
    if (m.step == 1) summary_.first_loss = m.loss;
    summary_.steps = m.step;
    summary_.loss = m.loss;
    summary_.tokens += m.tokens;
    watch_.Add(m);
    last_metrics_ = m;
  }

  void AfterStep(const StepMetrics& m, MetricsFile& metrics) {
    speed_.Add(m);
    Count(m);
    const int64_t peak = trainer_.model().backend.memory().peak_bytes();
    metrics.Append({m, speed_.tokens_per_second(), peak, {}});
    const bool last = m.step == options_.total_steps;
    std::optional<double> eval_loss;
    if (options_.eval_every > 0 && m.step % options_.eval_every == 0 && !last)
      eval_loss = Evaluate(m, metrics);
    // After the evaluation: a run resumed from this checkpoint takes the best loss from
    // metrics.jsonl, so the adapter with that loss must already be in place.
    if (options_.checkpoint_every > 0 && m.step % options_.checkpoint_every == 0) Checkpoint();
    if (hooks_.on_step) {
      const double left =
          speed_.seconds_per_step() * static_cast<double>(options_.total_steps - m.step);
      hooks_.on_step({m, options_.total_steps, speed_.tokens_per_second(), left, peak, eval_loss});
    }
  }

  Evaluation Measured(int64_t step) const {
    const Evaluation now = hooks_.evaluate();
    if (!std::isfinite(now.loss)) {
      throw Failure("step ", step, ": the held-out loss is ", now.loss,
                    step == 0
                        ? ": not finite before the first step, so the model or the rows are "
                          "at fault"
                        : ": not finite; a lower train.lr or longer train.warmup usually helps");
    }
    return now;
  }

  // Returns the held-out loss, or nullopt without held-out data. Writes the trained adapter or
  // model when the loss is the lowest so far.
  std::optional<double> Evaluate(const StepMetrics& m, MetricsFile& metrics) {
    if (!hooks_.evaluate) return std::nullopt;
    last_evaluation_ = Measured(m.step);
    const double loss = last_evaluation_.loss;
    // Before the line: a resumed run believes that the best loss of the lines is in place.
    if (!summary_.eval_loss || loss < *summary_.eval_loss) {
      summary_.eval_loss = loss;
      PutTrained();
    }
    // A session that was killed in its end may have written the line.
    MetricsLine line{m, 0, 0, loss};
    line.metrics.extras = last_evaluation_.extras;
    if (evaluated_step_ != m.step) metrics.Append(line);
    evaluated_step_ = m.step;
    return loss;
  }

  void Checkpoint() {
    const Path folder = options_.folder / "checkpoints" / Cat("step-", trainer_.steps_done());
    if (std::filesystem::exists(folder)) return;
    SaveCheckpoint(folder, trainer_, base_, options_.inputs);
    PruneCheckpoints(options_.folder / "checkpoints", options_.keep);
  }

  void PutTrained() {
    AtomicFolder beside(trained_, AtomicFolder::Old::kReplace);
    WriteTrained(beside.path(), trainer_, base_);
    beside.Commit();
  }

  void Finish(MetricsFile& metrics) {
    Checkpoint();  // first: evaluating may take long, and a resumed run evaluates again
    Evaluate(last_metrics_, metrics);
    if (!hooks_.evaluate || !std::filesystem::exists(trained_)) PutTrained();
    TakeNotes();
    summary_.seconds = Seconds();
    const Json summary = SummaryJson(summary_);
    WriteTextAtomically(options_.folder / "report.html",
                        ReportPage(options_.title, ReadMetrics(options_.folder / "metrics.jsonl"),
                                   ReadJson(options_.folder / "recipe.json"), summary));
    WriteTextAtomically(options_.folder / "summary.json", DumpJson(summary, 2) + "\n");
  }

  void TakeNotes() {
    const bool held_out = hooks_.evaluate != nullptr;
    if (!held_out && hooks_.check_trained) last_evaluation_ = hooks_.check_trained();
    if (last_evaluation_.rows > 0)
      summary_.notes = LearningNotes(summary_.first_loss, last_evaluation_, held_out);
    if (summary_.start_eval_loss && summary_.eval_loss) {
      if (auto note = NoGainNote(*summary_.start_eval_loss, *summary_.eval_loss))
        summary_.notes.push_back(std::move(*note));
    }
    if (trainer_.adapter() && IsZero(*trainer_.adapter(), trainer_.model().backend))
      summary_.notes.push_back(ZeroAdapterNote(trained_));
    summary_.diverged = watch_.Divergence(options_.chance_loss).value_or("");
  }

  Trainer& trainer_;
  const BaseRecord& base_;
  const RunOptions& options_;
  const RunHooks& hooks_;
  const Path trained_;
  const Clock::time_point start_ = Clock::now();
  double earlier_seconds_ = 0;  // of the steps of earlier sessions
  Speed speed_;
  RunSummary summary_;
  StepMetrics last_metrics_;
  int64_t evaluated_step_ = -1;  // the last one with a line
  Evaluation last_evaluation_;
  LossWatch watch_;
};

}  // namespace

Json SummaryJson(const RunSummary& s) {
  Json j = {{"steps", s.steps},
            {"loss", s.loss},
            {"tokens", s.tokens},
            {"seconds", s.seconds},
            {"trained", s.trained.filename().string()},
            {"first_loss", s.first_loss},
            {"notes", s.notes}};
  if (s.eval_loss) j["eval_loss"] = *s.eval_loss;
  if (s.start_eval_loss) j["start_eval_loss"] = *s.start_eval_loss;
  if (!s.diverged.empty()) j["diverged"] = s.diverged;
  return j;
}

RunSummary RunTraining(Trainer& trainer, const BaseRecord& base, const RunOptions& options,
                       const RunHooks& hooks) {
  return TrainingRun(trainer, base, options, hooks).Run();
}

}  // namespace retort
