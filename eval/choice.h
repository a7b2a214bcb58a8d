// SPDX-License-Identifier: Apache-2.0
// Multiple choice: selects the label with the highest summed log-probability after the prompt, end
// token included. A prompt is computed once for all labels.
#pragma once

#include <functional>
#include <memory>

#include "eval/answers.h"
#include "model/model.h"
#include "runner/engine/label_tree.h"

namespace retort {

struct ChoiceOptions {
  int64_t max_tokens = 1024;  // of prompt and label
  OverLength over_length = OverLength::kError;
  // Completions end with the end token. Assistant turns always end with theirs.
  bool add_eos = true;
  int64_t batch_tokens = 2048;
};

struct ChoiceCase {
  std::vector<int32_t> prompt;
  std::shared_ptr<const LabelTree> labels;
  int32_t expected;   // index of the row's label
  std::string where;  // the row, for errors
};
struct ChoiceTask {
  std::vector<std::string> labels;
  std::vector<ChoiceCase> cases;
  int64_t dropped = 0;
};

// Reads a JSON list of texts. Throws Error{kInput} naming the file and a label that is empty or
// occurs twice.
std::vector<std::string> ReadLabels(const Path& file);

// Labels are matched with the rows' answers without surrounding white space, and scored with the
// white space of the row's answer. If labels is empty, they are the answers that occur in the data,
// in order. Throws Error{kInput} naming a row whose answer is not a label.
ChoiceTask MakeChoiceTask(const std::vector<Answer>& answers, std::vector<std::string> labels,
                          const Tokenizer& tokenizer, const ChatTemplate* chat,
                          const ChoiceOptions& options);

struct ChoiceResult {
  int64_t right = 0, rows = 0;
  int64_t tokens = 0;           // input tokens of the model
  std::vector<int32_t> chosen;  // a label for every case; if equal, the first
  double share() const {
    return rows > 0 ? static_cast<double>(right) / static_cast<double>(rows) : 0;
  }
};
// adapter may be null. Calls `on_progress` with the number of cases done.
ChoiceResult EvaluateChoice(const Model& model, const Adapter* adapter,
                            const std::vector<ChoiceCase>& cases, int64_t batch_tokens = 2048,
                            const std::function<void(int64_t done)>& on_progress = {});

// kSums: the sum over a label's tokens. kWithin: the same where nothing but the labels may be said.
enum class ChoiceScores { kSums, kWithin };
// The labels' log-probabilities for each case, computed as one batch.
std::vector<std::vector<double>> ScoreChoices(const Model& model, const Adapter* adapter,
                                              std::span<const ChoiceCase> cases,
                                              ChoiceScores kind = ChoiceScores::kSums);
// The same in batches of about so many tokens; calls `on_scores` with each case's. Returns how many
// tokens the model read. Throws Error{kFailure} naming a case whose scores are no numbers.
int64_t ScoreAllChoices(
    const Model& model, const Adapter* adapter, std::span<const ChoiceCase> cases,
    int64_t batch_tokens, ChoiceScores kind,
    const std::function<void(const ChoiceCase& c, const std::vector<double>& scores)>& on_scores,
    const std::function<void(int64_t done)>& on_progress = {});

}  // namespace retort
