// SPDX-License-Identifier: Apache-2.0
// A whole training run in its folder: steps, metrics, checkpoints, evaluation, the best adapter.
//
//   recipe.json       as resolved           metrics.jsonl   a line a step, eval lines between
//   checkpoints/step-N/                     adapter/ (or model/ when every weight is trained)
//   report.html       the curves            summary.json    written last: the run is finished
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
  int64_t keep = 2;
  int64_t eval_every = 0;  // 0: at the end
  std::string title;       // for the report
};

struct RunProgress {
  StepMetrics metrics;
  int64_t total_steps;
  double tokens_per_second;  // over the last steps
  double seconds_left;
  int64_t peak_bytes;               // that our memory ever held
  std::optional<double> eval_loss;  // when this step was followed by an evaluation
};

// A model's loss on some rows.
struct Evaluation {
  double loss = 0;  // mean of the tokens that carry loss
  int64_t rows = 0;
  int64_t likely =
      0;  // rows whose whole answer has a probability above one half: greedy decoding gives it
  int64_t loss_tokens = 0;
};

struct RunSummary {
  int64_t steps = 0;
  double first_loss = 0;            // of step 1, before anything was learnt
  double loss = 0;                  // of the last step
  std::optional<double> eval_loss;  // the best
  int64_t tokens = 0;
  double seconds = 0;
  Path trained;                    // folder of the adapter or model
  std::vector<std::string> notes;  // what the user should know about it (LearningNotes)
};
Json SummaryJson(const RunSummary& summary);

// What a finished run says of itself: how many answers are likely, where they are short enough for
// that to mean something, and a warning with a mend when little was learnt. `held_out`: what `now`
// was measured on.
std::vector<std::string> LearningNotes(double first_loss, const Evaluation& now, bool held_out);

// What happens between steps, given by the caller.
struct RunHooks {
  std::function<Evaluation()> evaluate;       // on held-out data; null: there is none
  std::function<Evaluation()> check_trained;  // on some of the training data
  std::function<void(const RunProgress&)> on_step;
};

// The folder before anything is trained. Throws Error{kInput} when it is not empty and `resume` is
// false (naming --resume), or when it was made by a recipe that differs (naming the keys, by
// `changed_keys`).
enum class FolderState { kFresh, kResumable, kFinished };
FolderState PrepareRunFolder(
    const Path& folder, bool resume, const std::string& recipe_json,
    const std::function<std::vector<std::string>(const std::string& old_recipe)>& changed_keys);

// Trains to the end (from the last complete checkpoint when there is one) and writes everything.
RunSummary RunTraining(Trainer& trainer, const BaseRecord& base, const RunOptions& options,
                       const RunHooks& hooks);

}  // namespace retort
