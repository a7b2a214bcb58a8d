// SPDX-License-Identifier: Apache-2.0
#include "train/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/seal.h"
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
    Resume();
    MetricsFile metrics(options_.folder / "metrics.jsonl", trainer_.steps_done());
    while (trainer_.steps_done() < options_.total_steps) {
      const std::optional<StepMetrics> m = trainer_.Step();
      if (!m) break;
      AfterStep(*m, metrics);
    }
    Finish(metrics);
    return summary_;
  }

 private:
  void Resume() {
    const auto place = LastCheckpoint(options_.folder / "checkpoints");
    if (!place) return;
    LoadCheckpoint(place->folder, trainer_);
    for (const MetricsLine& line : ReadMetrics(options_.folder / "metrics.jsonl")) {
      if (line.metrics.step > place->step) break;
      if (line.eval_loss)
        summary_.eval_loss =
            std::min(summary_.eval_loss.value_or(*line.eval_loss), *line.eval_loss);
      else
        Count(line.metrics);
    }
  }

  void Count(const StepMetrics& m) {
    if (m.step == 1) summary_.first_loss = m.loss;
    summary_.steps = m.step;
    summary_.loss = m.loss;
    summary_.tokens += m.tokens;
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
    last_metrics_ = m;
  }

  // Returns the held-out loss, or nullopt without held-out data. Writes the trained adapter or
  // model when the loss is the lowest so far.
  std::optional<double> Evaluate(const StepMetrics& m, MetricsFile& metrics) {
    if (!hooks_.evaluate) return std::nullopt;
    last_evaluation_ = hooks_.evaluate();
    const double loss = last_evaluation_.loss;
    MetricsLine line{m, 0, 0, loss};
    metrics.Append(line);
    if (!summary_.eval_loss || loss < *summary_.eval_loss) {
      summary_.eval_loss = loss;
      PutTrained();
    }
    return loss;
  }

  void Checkpoint() {
    const Path folder = options_.folder / "checkpoints" / Cat("step-", trainer_.steps_done());
    if (std::filesystem::exists(folder)) return;
    SaveCheckpoint(folder, trainer_, base_);
    PruneCheckpoints(options_.folder / "checkpoints", options_.keep);
  }

  void PutTrained() {
    AtomicFolder beside(trained_);
    WriteTrained(beside.path(), trainer_, base_);
    const Path old = Path(trained_.string() + ".old");
    std::filesystem::remove_all(old);
    if (std::filesystem::exists(trained_)) std::filesystem::rename(trained_, old);
    beside.Commit();
    std::filesystem::remove_all(old);
  }

  void Finish(MetricsFile& metrics) {
    summary_.trained = trained_;
    if (hooks_.evaluate) {
      Evaluate(last_metrics_, metrics);
    }
    if (!hooks_.evaluate || !std::filesystem::exists(trained_)) PutTrained();
    Checkpoint();
    const bool held_out = hooks_.evaluate != nullptr;
    if (!held_out && hooks_.check_trained) last_evaluation_ = hooks_.check_trained();
    if (last_evaluation_.rows > 0)
      summary_.notes = LearningNotes(summary_.first_loss, last_evaluation_, held_out);
    summary_.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    const Json summary = SummaryJson(summary_);
    WriteTextAtomically(options_.folder / "report.html",
                        ReportPage(options_.title, ReadMetrics(options_.folder / "metrics.jsonl"),
                                   ReadJson(options_.folder / "recipe.json"), summary));
    WriteTextAtomically(options_.folder / "summary.json", DumpJson(summary, 2) + "\n");
  }

  Trainer& trainer_;
  const BaseRecord& base_;
  const RunOptions& options_;
  const RunHooks& hooks_;
  const Path trained_;
  const Clock::time_point start_ = Clock::now();
  Speed speed_;
  RunSummary summary_;
  StepMetrics last_metrics_;
  Evaluation last_evaluation_;
};

// Mean tokens per answer up to which the probability of a whole answer is meaningful.
constexpr int64_t kShortAnswer = 24;
constexpr double kLeastGain = 0.25;   // share of the first loss
constexpr double kLeastLikely = 0.5;  // share of the rows

}  // namespace

std::vector<std::string> LearningNotes(double first_loss, const Evaluation& now, bool held_out) {
  std::vector<std::string> notes;
  const char* rows = held_out ? "held-out" : "training";
  const bool short_answers = now.loss_tokens <= now.rows * kShortAnswer;
  const double likely = static_cast<double>(now.likely) / static_cast<double>(now.rows);
  if (short_answers) {
    notes.push_back(
        Cat("of ", now.rows, " ", rows, " rows, ", std::lround(100 * likely),
            " % have an answer that the model now gives with a probability above one half"));
  }
  const bool little_gain = !(now.loss < (1 - kLeastGain) * first_loss);
  if (little_gain || (short_answers && likely < kLeastLikely)) {
    notes.push_back(Cat("little was learnt: loss ", now.loss, " on ", rows, " rows, ", first_loss,
                        " at the first step; try more train.epochs, a higher train.lr, a smaller "
                        "train.batch_tokens, or look at the rows"));
  }
  return notes;
}

Json SummaryJson(const RunSummary& s) {
  Json j = {{"steps", s.steps},
            {"loss", s.loss},
            {"tokens", s.tokens},
            {"seconds", s.seconds},
            {"trained", s.trained.filename().string()},
            {"first_loss", s.first_loss},
            {"notes", s.notes}};
  if (s.eval_loss) j["eval_loss"] = *s.eval_loss;
  return j;
}

FolderState PrepareRunFolder(
    const Path& folder, bool resume, const std::string& recipe_json,
    const std::function<std::vector<std::string>(const std::string&)>& changed_keys) {
  const Path recipe = folder / "recipe.json";
  const bool used = std::filesystem::exists(folder) && !std::filesystem::is_empty(folder);
  if (used && !resume) {
    throw InputError(folder.string(),
                     ": is not empty; go on with --resume, or choose another folder with --run");
  }
  if (used && std::filesystem::exists(recipe)) {
    if (const auto changed = changed_keys(ReadText(recipe)); !changed.empty()) {
      throw InputError(recipe.string(), ": the run was started with another recipe (",
                       Join(changed, ", "), "); put these back, or start anew with --run");
    }
    if (std::filesystem::exists(folder / "summary.json")) return FolderState::kFinished;
    return FolderState::kResumable;
  }
  std::filesystem::create_directories(folder);
  WriteTextAtomically(recipe, recipe_json);
  return FolderState::kFresh;
}

RunSummary RunTraining(Trainer& trainer, const BaseRecord& base, const RunOptions& options,
                       const RunHooks& hooks) {
  return TrainingRun(trainer, base, options, hooks).Run();
}

}  // namespace retort
