// SPDX-License-Identifier: Apache-2.0
// From a recipe to everything a training run needs, opened and checked: model, tokenizer, data,
// adapter, trainer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "session/open_teacher.h"
#include "train/run.h"

namespace retort {

class TrainingSession {
 public:
  // Throws Error{kInput} for whatever in the recipe, the model or the data cannot be used, before
  // anything is trained.
  explicit TrainingSession(const Recipe& recipe);

  RunSummary Run(const RunOptions& folder_options,
                 const std::function<void(const RunProgress&)>& on_step);

  // What was chosen and found, a line each: model, compute, adapter, data, steps.
  std::vector<std::string> Describe() const;
  // One row as it is trained, with what carries loss marked.
  std::string ShowFirstExample() const;
  int64_t total_steps() const { return schedule_.total_steps; }
  Compute compute() const { return model_->compute(); }
  const Backend& backend() const { return *backend_; }
  // As given, with every "auto" that depends on data and model filled in (session/defaults.h).
  const Recipe& recipe() const { return recipe_; }

 private:
  void OpenBase();
  void MakeAdapter();
  void MakeObjective();
  std::unique_ptr<Objective> OnlineOrOnPolicy();
  void MakeTrainer();
  std::string DescribeSteps() const;
  std::string DescribeTeacher() const;
  Evaluation Evaluate(const std::vector<Example>& examples) const;

  Recipe recipe_;
  ModelFiles files_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Model> model_;
  RecipeData data_;
  std::unique_ptr<Adapter> adapter_;
  TeacherModel teacher_model_;
  std::unique_ptr<Objective> objective_;
  std::unique_ptr<BatchStream> stream_;
  std::unique_ptr<Trainer> trainer_;
  Schedule schedule_;
  BaseRecord base_;
};

// What the recipe's export section asks for, once a run in `folder` is trained: the merged model
// and GGUFs of its types. Returns a line for each thing made; none when it asks for nothing.
std::vector<std::string> ExportTrained(const Recipe& recipe, const Path& folder);

}  // namespace retort
