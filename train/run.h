// SPDX-License-Identifier: Apache-2.0
// A complete training run and its folder: steps, metrics, checkpoints, evaluation, best adapter.
//
//   recipe.json       as resolved           metrics.jsonl   a line per step, and per evaluation
//   checkpoints/step-N/                     adapter/ (or model/ when every weight is trained)
//   report.html       the curves            summary.json    written last: marks a finished run
#pragma once

#include <functional>
#include <optional>

#include "base/json.h"
#include "train/checkpoint.h"

namespace retort {

struct RunOptions {
  Path folder;
  int64_t total_steps = 0;
  int64_t checkpoint_every = 100;  // 0: only at the end
  int64_t keep = 2;                // checkpoints
  int64_t eval_every = 0;          // 0: only at the end
  std::string title;               // for the report
};

struct RunProgress {
  StepMetrics metrics;
  int64_t total_steps;
  double tokens_per_second;  // over the last steps
  double seconds_left;
  int64_t peak_bytes;               // highest use of counted memory so far
  std::optional<double> eval_loss;  // if this step was followed by an evaluation
};

// A model's loss on some rows.
struct Evaluation {
  double loss = 0;  // mean over the tokens that carry loss
  int64_t rows = 0;
  // Rows whose whole answer has a probability above one half, so greedy decoding gives this answer.
  int64_t likely = 0;
  int64_t loss_tokens = 0;
};

struct RunSummary {
  int64_t steps = 0;
  double first_loss = 0;            // of step 1, before any update
  double loss = 0;                  // of the last step
  std::optional<double> eval_loss;  // the lowest
  int64_t tokens = 0;
  double seconds = 0;
  Path trained;                    // folder of the adapter or model
  std::vector<std::string> notes;  // for the user (LearningNotes)
};
Json SummaryJson(const RunSummary& summary);

// Notes on a finished run: how many answers are likely (only if the answers are short enough for
// that to be meaningful), and a warning with a suggested fix when little was learnt. `first_loss`:
// of step 1. `held_out`: whether `now` was measured on held-out rows.
std::vector<std::string> LearningNotes(double first_loss, const Evaluation& now, bool held_out);

// The caller's functions, called between steps and at the end.
struct RunHooks {
  std::function<Evaluation()> evaluate;       // on held-out data; null: there is no such data
  std::function<Evaluation()> check_trained;  // on some of the training data
  std::function<void(const RunProgress&)> on_step;
};

// Creates or checks the run's folder before training. Throws Error{kInput} when it is not empty and
// `resume` is false (naming --resume), or when it was made by another recipe (naming the keys that
// `changed_keys` returns).
enum class FolderState { kFresh, kResumable, kFinished };
FolderState PrepareRunFolder(
    const Path& folder, bool resume, const std::string& recipe_json,
    const std::function<std::vector<std::string>(const std::string& old_recipe)>& changed_keys);

// Trains to the end, from the last complete checkpoint if there is one, and writes all files of the
// folder except recipe.json.
RunSummary RunTraining(Trainer& trainer, const BaseRecord& base, const RunOptions& options,
                       const RunHooks& hooks);

}  // namespace retort
