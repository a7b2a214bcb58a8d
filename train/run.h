// SPDX-License-Identifier: Apache-2.0
// A complete training run and its folder: steps, metrics, checkpoints, evaluation, best adapter.
//
//   recipe.json       as resolved           metrics.jsonl   a line per step, and per evaluation
//   checkpoints/step-N/                     adapter/ (or model/ when every weight is trained)
//   start.json        held-out loss before the first step
//   samples.jsonl     answers to some held-out prompts, at each evaluation
//   metrics.csv, events.out.tfevents.*   if RunOptions::logs says so
//   report.html       the curves            summary.json    written last: marks a finished run
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/file_lock.h"
#include "base/json.h"
#include "train/best.h"
#include "train/checkpoint.h"
#include "train/learning.h"
#include "train/report.h"
#include "train/samples.h"

namespace retort {

struct RunOptions {
  Path folder;
  int64_t total_steps = 0;
  int64_t checkpoint_every = 100;  // 0: only at the end
  int64_t keep = 2;                // checkpoints
  int64_t eval_every = 0;          // 0: only at the end
  std::string best_by = "loss";    // which evaluation's weights are kept (BestEvaluation)
  int64_t early_stop = 0;          // evaluations without a better one that end the run; 0: off
  std::string title;               // for the report
  std::vector<std::string> logs;   // csv, tensorboard: what is written beside metrics.jsonl
  double chance_loss = 0;          // of guessing: ln V; 0: unknown
  RunInputs inputs;
  ReportAbout about;  // for the report
};

struct RunProgress {
  StepMetrics metrics;
  int64_t total_steps;
  double tokens_per_second;  // over the last steps
  double seconds_left;
  int64_t peak_bytes;                         // highest use of counted memory so far
  std::optional<EvaluationPoint> evaluation;  // if this step was followed by one
  std::string note;                           // on this step, for the user; usually ""
};

struct RunSummary {
  int64_t steps = 0;
  double first_loss = 0;                 // of step 1, before any update
  double loss = 0;                       // of the last step
  std::optional<EvaluationPoint> best;   // the evaluation whose weights were kept
  std::optional<EvaluationPoint> start;  // before the first step
  int64_t tokens = 0;
  int64_t peak_bytes = 0;          // highest use of counted memory, in this session
  double seconds = 0;              // of this session and of the steps of earlier ones
  Path trained;                    // folder of the adapter or model
  std::vector<std::string> notes;  // for the user (LearningNotes)
  std::string diverged;            // why the run counts as diverged; "" if it does not
  bool stopped = false;            // before its end, by RunHooks::stop; all is in a checkpoint
  bool early = false;              // ended by RunOptions::early_stop
};
Json SummaryJson(const RunSummary& summary);

// Thrown by an evaluation or by samples that were asked to stop before their end.
struct EvaluationStopped {};

// The caller's functions, called between steps and at the end. The first three may throw
// EvaluationStopped when `stop` is true: what they were to measure is measured by the run that
// resumes.
struct RunHooks {
  std::function<Evaluation()> evaluate;         // on held-out data; null: there is no such data
  std::function<Evaluation()> check_trained;    // on some of the training data
  std::function<std::vector<Sample>()> sample;  // answers to some held-out prompts; null: none
  std::function<void(const RunProgress&)> on_step;
  std::function<bool()> stop;  // true: end after this step, with a checkpoint; null: never
};

// Creates the run's folder if it is missing and holds it. Throws Error{kInput} naming the process
// that trains there, or when it is a file.
std::unique_ptr<FileLock> LockRunFolder(const Path& folder);

// The folder of a run that names none: `base`, or if that is in use base-2, base-3, ...; with
// `resume` the last of these that is in use.
Path NumberedRunFolder(const Path& base, bool resume);

// Throws Error{kInput}, naming --resume, when the folder holds anything.
void RefuseUsedFolder(const Path& folder);

// Throws Error{kInput} when the folder holds anything but a run, naming it.
void RefuseOtherThanRun(const Path& folder);
// Removes the run that the folder holds, if any; the caller holds its lock. Throws as above.
void RemoveRun(const Path& folder);

// Creates or checks the run's folder before training; the caller holds its lock. Throws
// Error{kInput} when it is not empty and `resume` is false (naming --resume), when it holds
// something else than a run, or when it was made by another recipe (naming the keys that
// `changed_keys` returns). Removes what killed processes left in a folder that is resumed.
enum class FolderState { kFresh, kResumable, kFinished };
FolderState PrepareRunFolder(
    const Path& folder, bool resume, const std::string& recipe_json,
    const std::function<std::vector<std::string>(const std::string& old_recipe)>& changed_keys);

// Trains to the end, from the last complete checkpoint if there is one, and writes all files of the
// folder except recipe.json. Throws Error{kInput} when the base or another input is not the one
// that the checkpoint was made with, and Error{kFailure} when a loss is not a finite number.
RunSummary RunTraining(Trainer& trainer, const BaseRecord& base, const RunOptions& options,
                       const RunHooks& hooks);

}  // namespace retort
