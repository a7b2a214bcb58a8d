// SPDX-License-Identifier: Apache-2.0
// Opens and checks everything that a recipe's training run needs: model, tokenizer, data, adapter,
// trainer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "eval/answers.h"
#include "session/open_teacher.h"
#include "train/objectives/sampled_answers.h"
#include "train/reward.h"
#include "train/run.h"

namespace retort {

inline constexpr int64_t kEvaluationTokens = 4096;  // per forward pass of an evaluation

class TrainingSession {
 public:
  // kCount: nothing is computed, and the weights are not read; the session allocates what the run
  // would (BackendOptions::counting).
  enum class Use : uint8_t { kTrain, kCount };

  // Throws Error{kInput} when anything in the recipe, the model or the data cannot be used.
  explicit TrainingSession(const Recipe& recipe) : TrainingSession(OpenRecipe(recipe)) {}
  explicit TrainingSession(const OpenedRecipe& opened, Use use = Use::kTrain);

  // `stop`: RunHooks::stop.
  RunSummary Run(const Path& folder, const std::function<void(const RunProgress&)>& on_step,
                 const std::function<bool()>& stop = {});

  // A summary for the user, line by line: model, weights and compute, parameters, data, steps.
  std::vector<std::string> Describe() const;
  // The first training row as text, with the tokens that carry loss marked.
  std::string ShowFirstExample() const;
  int64_t total_steps() const { return schedule_.total_steps; }

  // What a plan does in place of Run: what is evaluated before the first step, the next step, and
  // what is evaluated after the last one.
  void EvaluateBefore() const;
  std::optional<StepMetrics> Step() { return trainer_->Step(); }
  void EvaluateAfter() const;
  // Bytes of counted memory: the peak, by what they hold, and what may be resident of them.
  // `weights` includes the teacher's. The counts leave out `mapped`, what is used in place in the
  // files, and `checkpoint`, what writing one takes: the optimiser's state and the largest tensor.
  struct Memory {
    int64_t weights = 0, trained = 0, optimizer = 0, peak = 0, reached = 0;
    int64_t mapped = 0, checkpoint = 0;
  };
  Memory memory() const;
  Compute compute() const { return model_->compute(); }
  const Backend& backend() const { return *backend_; }
  // The given recipe, with every "auto" that depends on data and model replaced
  // (session/defaults.h).
  const Recipe& recipe() const { return recipe_; }

 private:
  bool counting() const { return use_ == Use::kCount; }
  void OpenBase();
  void RecordBase();
  int64_t MappedBytes(const Model& model) const;  // that are read
  int64_t TeacherBytes() const;                   // on a backend of its own
  void MakeAdapter();
  void MakeObjective();
  std::unique_ptr<Objective> OnlineOrOnPolicy();
  std::unique_ptr<Objective> Preferences();
  std::unique_ptr<Objective> Rewards();
  SampledAnswersOptions Sampling(double temperature, int64_t max_new_tokens) const;
  void LoadReference(bool wanted);
  void MakeTrainer();
  std::string DescribeSteps() const;
  std::string HeldWeights() const;
  std::string DescribeTeacher() const;
  int64_t RowsAStep() const;  // an estimate, from the data's mean length
  bool HasHeldOut() const { return !data_.eval.examples.empty(); }
  Evaluation Evaluate(const Examples& examples) const;
  Evaluation EvaluateReward() const;  // on the held-out prompts
  bool LearnsAnswers() const;         // of the rows
  std::unique_ptr<Reward> OwnReward() const;
  Evaluation EvaluateTrained() const;  // on the first training rows
  Evaluation EvaluateObjective(const Examples& examples) const;
  // Reads the held-out answers if a metric or a sample needs them.
  void OpenHeldOut();
  Evaluation EvaluateHeldOut() const;
  double Measure(
      const std::string& metric) const;  // "exact", "choice" or "fields", on held-out rows
  std::vector<Sample> TakeSamples() const;
  const ChatTemplate* chat() const { return data_.chat ? &*data_.chat : nullptr; }
  RunInputs Inputs() const;

  const OpenedRecipe opened_;
  const Use use_;
  Recipe recipe_;
  const ModelFiles& files_;  // of opened_
  const RecipeData& data_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Adapter> adapter_, reference_;  // reference_: of preferences and rewards
  TeacherModel teacher_model_;
  std::unique_ptr<Objective> objective_;
  std::unique_ptr<BatchStream> stream_;
  std::unique_ptr<Trainer> trainer_;
  Schedule schedule_;
  BaseRecord base_;
  Memory held_;                       // the first three fields
  std::vector<std::string> metrics_;  // measured on held-out rows, beside the loss
  std::vector<Answer> answers_;       // of the held-out rows; empty if nothing needs them
  std::vector<std::string> notes_;    // for the user
  // The progress of evaluations while Run is to be stopped: throws EvaluationStopped then.
  std::function<void(int64_t)> stopping_;
};

// Checks before the training, from the files alone, that the recipe's export section can be carried
// out for the run in `folder`, which is to be removed first if it begins `anew`. Throws
// Error{kInput} for a GGUF as the base of an adapter, which cannot be merged, and for targets that
// hold something else than what the run itself put there; Error{kFailure} for targets that cannot
// be written.
void CheckExports(const Recipe& recipe, const Path& folder, bool anew = false);

// Carries out the recipe's export section for the trained run in `folder`: writes the merged model
// and the GGUFs, except those that an earlier call has written of the same weights. What it wrote
// of others is kept until its successor is whole. Returns one line for each thing written, and for
// what is left of other weights; none if nothing is left to write.
std::vector<std::string> ExportTrained(const Recipe& recipe, const Path& folder);

}  // namespace retort
