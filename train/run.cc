// SPDX-License-Identifier: Apache-2.0
#include "train/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/seal.h"
#include "model/store/base_check.h"
#include "train/metrics.h"
#include "train/metrics_csv.h"
#include "train/report.h"
#include "train/speed.h"

namespace retort {
namespace {

using Clock = std::chrono::steady_clock;

// The report is written so often, but for at most a hundredth of the time: it reads all metrics.
constexpr double kReportEvery = 10, kReportShare = 0.01;

constexpr int64_t kMostSpikeNotes = 3;

class TrainingRun {
 public:
  TrainingRun(Trainer& trainer, const BaseRecord& base, const RunOptions& options,
              const RunHooks& hooks)
      : trainer_(trainer),
        base_(base),
        options_(options),
        hooks_(hooks),
        trained_(options.folder / (trainer.adapter() ? "adapter" : "model")),
        best_(options.best_by) {}

  RunSummary Run() {
    RequireSecret();  // for the checkpoints' seals
    summary_.trained = trained_;
    try {
      EvaluateStart();
      Resume();
      MetricsFile metrics(options_.folder / "metrics.jsonl", trainer_.steps_done(),
                          Logs("tensorboard"));
      Train(metrics);
      if (!MayStop()) {
        Finish(metrics);
        return summary_;
      }
    } catch (const EvaluationStopped&) {  // as between two steps
    }
    if (trainer_.steps_done() > 0) Checkpoint();
    summary_.stopped = true;
    summary_.seconds = Seconds();
    return summary_;
  }

 private:
  void Train(MetricsFile& metrics) {
    if (trainer_.steps_done() < options_.total_steps) WriteReport(nullptr);
    // A run that was stopped in an evaluation left it to this one.
    if (EvaluatesAfter(trainer_.steps_done())) Evaluate(last_metrics_, metrics);
    while (!MayStop() && !EndsEarly() && trainer_.steps_done() < options_.total_steps) {
      const std::optional<StepMetrics> m = trainer_.Step();
      if (!m) break;
      AfterStep(*m, metrics);
    }
  }

  // Whether an evaluation follows the step; the last one's is made by Finish.
  bool EvaluatesAfter(int64_t step) const {
    return options_.eval_every > 0 && step > 0 && step % options_.eval_every == 0 &&
           step < options_.total_steps;
  }
  bool Logs(const char* what) const {
    return std::ranges::find(options_.logs, what) != options_.logs.end();
  }
  bool MayStop() const { return hooks_.stop && hooks_.stop(); }
  bool EndsEarly() const { return options_.early_stop > 0 && best_.since() >= options_.early_stop; }
  double Seconds() const {
    return earlier_seconds_ + std::chrono::duration<double>(Clock::now() - start_).count();
  }

  // The evaluation of the weights that the run begins with: made before a checkpoint is loaded, or
  // read if an earlier session has made it.
  void EvaluateStart() {
    if (!hooks_.evaluate) return;
    const Path file = options_.folder / "start.json";
    const bool resumed = LastCheckpoint(options_.folder / "checkpoints").has_value();
    if (resumed && std::filesystem::exists(file)) {
      const Json held = ReadJson(file);
      summary_.start = {0, GetNumber(held, "eval_loss", file.string()), {}};
      for (const auto& [key, value] : held.items()) {
        if (key != "eval_loss" && key.starts_with("eval_") && value.is_number())
          summary_.start->extras.emplace_back(key.substr(5), value.get<double>());
      }
      return;
    }
    Evaluation now = Measured(0);
    summary_.start = {0, now.loss, std::move(now.extras)};
    Json start = {{"eval_loss", summary_.start->loss}};
    for (const auto& [name, value] : summary_.start->extras) start["eval_" + name] = value;
    WriteTextAtomically(file, DumpJson(start, 2) + "\n");
    TakeSamples(0);
  }

  void TakeSamples(int64_t step) const {
    if (hooks_.sample) AppendSamples(options_.folder / "samples.jsonl", step, hooks_.sample());
  }

  void Resume() {
    const auto place = LastCheckpoint(options_.folder / "checkpoints");
    if (!place) return;
    LoadCheckpoint(place->folder, trainer_, base_, options_.inputs);
    const Path metrics = options_.folder / "metrics.jsonl";
    std::vector<MetricsLine> lines;
    if (std::filesystem::exists(metrics)) lines = ReadMetrics(metrics);
    TakeEarlier(lines, place->step);
    if (summary_.steps == place->step) return;
    // The best evaluation is known from there alone.
    throw InputError(
        metrics.string(), ": ends after step ", summary_.steps, ", and ", place->folder.string(),
        " goes on after another; put the run's own file back, or begin anew with --force");
  }

  // What earlier sessions measured up to the step.
  void TakeEarlier(const std::vector<MetricsLine>& lines, int64_t step) {
    for (const MetricsLine& line : lines) {
      if (line.metrics.step > step) break;
      if (line.eval_loss) {
        best_.Add({line.metrics.step, *line.eval_loss, line.metrics.extras});
        evaluated_step_ = line.metrics.step;
      } else {
        Count(line.metrics);
        spikes_.Add(line.metrics.loss);
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
    const std::string spike = SpikeNote(m);
    std::optional<EvaluationPoint> evaluation;
    if (EvaluatesAfter(m.step)) evaluation = Evaluate(m, metrics);
    // After the evaluation: a run resumed from this checkpoint takes the best loss from
    // metrics.jsonl, so the adapter with that loss must already be in place.
    const bool checkpoint =
        options_.checkpoint_every > 0 && m.step % options_.checkpoint_every == 0;
    if (checkpoint) Checkpoint();
    if (m.step != options_.total_steps) UpdateReport();
    if (hooks_.on_step) {
      const double left =
          speed_.seconds_per_step() * static_cast<double>(options_.total_steps - m.step);
      hooks_.on_step(
          {m, options_.total_steps, speed_.tokens_per_second(), left, peak, evaluation, spike});
    }
  }

  // Losses of generated answers and of preferences are no measure of a row.
  std::string SpikeNote(const StepMetrics& m) {
    if (m.generated_tokens > 0 || !m.extras.empty()) return "";
    const std::optional<double> level = spikes_.Add(m.loss);
    if (!level) return "";
    const std::string rows = trainer_.WorstRowsOfLastStep();
    std::string note = Cat("step ", m.step, ": the loss is ", m.loss, " after some ", *level,
                           rows.empty() ? "" : Cat("; worst rows: ", rows));
    if (++spike_count_ <= kMostSpikeNotes) spike_notes_.push_back(note);
    return note;
  }

  Evaluation Measured(int64_t step) const {
    Evaluation now = hooks_.evaluate();
    if (!std::isfinite(now.loss)) {
      throw Failure("step ", step, ": the held-out loss is ", now.loss,
                    step == 0
                        ? ": not finite before the first step, so the model or the rows are "
                          "at fault"
                        : ": not finite; a lower train.lr or longer train.warmup usually helps");
    }
    return now;
  }

  // nullopt without held-out data. Writes the trained adapter or model when the evaluation is the
  // best so far.
  std::optional<EvaluationPoint> Evaluate(const StepMetrics& m, MetricsFile& metrics) {
    if (!hooks_.evaluate) return std::nullopt;
    if (measured_step_ != m.step) last_evaluation_ = Measured(m.step);
    measured_step_ = m.step;
    EvaluationPoint point{m.step, last_evaluation_.loss, last_evaluation_.extras};
    // A session that was killed in its end may have written the line, and counted it.
    if (evaluated_step_ == m.step) return point;
    // Before the line: a resumed run believes that the best evaluation's weights are in place.
    if (best_.Add(point)) PutTrained();
    MetricsLine line{m, 0, 0, point.loss};
    line.metrics.extras = point.extras;
    TakeSamples(m.step);  // before the line, which says that all of the evaluation is in place
    metrics.Append(line);
    evaluated_step_ = m.step;
    return point;
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
    summary_.best = best_.best();
    if (!hooks_.evaluate || !std::filesystem::exists(trained_)) PutTrained();
    TakeNotes();
    summary_.seconds = Seconds();
    summary_.peak_bytes = trainer_.model().backend.memory().peak_bytes();
    summary_.early = EndsEarly() && trainer_.steps_done() < options_.total_steps;
    const Json summary = SummaryJson(summary_);
    WriteReport(summary);
    WriteTextAtomically(options_.folder / "summary.json", DumpJson(summary, 2) + "\n");
  }

  void UpdateReport() {
    const auto since = [this] {
      return std::chrono::duration<double>(Clock::now() - reported_).count();
    };
    if (since() < std::max(kReportEvery, report_seconds_ / kReportShare)) return;
    reported_ = Clock::now();
    WriteReport(nullptr);
    report_seconds_ = since();
    reported_ = Clock::now();
  }

  // summary: null while the run is under way.
  void WriteReport(const Json& summary) const {
    const Json recipe = ReadJson(options_.folder / "recipe.json");
    const int64_t done = trainer_.steps_done(), best = best_.best() ? best_.best()->step : 0;
    const std::string status = Cat(summary.is_null() ? "A training run of Retort, under way: step "
                                                     : "A training run of Retort: step ",
                                   done, " of ", options_.total_steps,
                                   best > 0 ? Cat("; best evaluation at step ", best) : "");
    if (Logs("csv"))
      WriteTextAtomically(options_.folder / "metrics.csv",
                          MetricsCsv(options_.folder / "metrics.jsonl"));
    WriteTextAtomically(options_.folder / "report.html",
                        ReportPage({.title = options_.title,
                                    .status = status,
                                    .metrics = ReadMetrics(options_.folder / "metrics.jsonl"),
                                    .start = summary_.start,
                                    .samples = ReadSamples(options_.folder / "samples.jsonl"),
                                    .best_step = best,
                                    .about = options_.about,
                                    .runs = RunsBeside(options_.folder),
                                    .recipe = recipe,
                                    .summary = summary}));
  }

  void TakeNotes() {
    const bool held_out = hooks_.evaluate != nullptr;
    if (!held_out && hooks_.check_trained) last_evaluation_ = hooks_.check_trained();
    summary_.notes = spike_notes_;
    if (spike_count_ > kMostSpikeNotes)
      summary_.notes.push_back(Cat(spike_count_, " steps had a loss far above those before"));
    if (last_evaluation_.rows > 0)
      std::ranges::copy(LearningNotes(summary_.first_loss, last_evaluation_, held_out),
                        std::back_inserter(summary_.notes));
    if (options_.best_by == "loss" && summary_.start && summary_.best) {
      if (auto note = NoGainNote(summary_.start->loss, summary_.best->loss))
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
  Clock::time_point reported_ = start_;
  double report_seconds_ = 0;   // that the last report took
  double earlier_seconds_ = 0;  // of the steps of earlier sessions
  Speed speed_;
  RunSummary summary_;
  StepMetrics last_metrics_;
  int64_t evaluated_step_ = -1;  // the last one with a line
  int64_t measured_step_ = -1;   // of last_evaluation_, in this session
  Evaluation last_evaluation_;
  LossWatch watch_;
  SpikeWatch spikes_;
  std::vector<std::string> spike_notes_;  // the first
  int64_t spike_count_ = 0;
  BestEvaluation best_;
};

}  // namespace

Json SummaryJson(const RunSummary& s) {
  Json j = {{"steps", s.steps},           {"loss", s.loss},
            {"tokens", s.tokens},         {"peak_bytes", s.peak_bytes},
            {"seconds", s.seconds},       {"trained", s.trained.filename().string()},
            {"first_loss", s.first_loss}, {"notes", s.notes}};
  const auto put = [&](const std::string& name, const EvaluationPoint& point) {
    j[name + "_loss"] = point.loss;
    for (const auto& [key, value] : point.extras) j[Cat(name, "_", key)] = value;
  };
  if (s.best) {
    put("eval", *s.best);
    j["best_step"] = s.best->step;
  }
  if (s.start) put("start_eval", *s.start);
  if (s.early) j["ended_early"] = true;
  if (!s.diverged.empty()) j["diverged"] = s.diverged;
  return j;
}

RunSummary RunTraining(Trainer& trainer, const BaseRecord& base, const RunOptions& options,
                       const RunHooks& hooks) {
  return TrainingRun(trainer, base, options, hooks).Run();
}

}  // namespace retort
