// SPDX-License-Identifier: Apache-2.0
// Opens a recipe's teacher and checks that it fits the student.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "session/open_data.h"
#include "train/objectives/online_distillation.h"

namespace retort {

// The teacher's model: its own, or the student's model used without the student's adapter.
struct TeacherModel {
  ModelFiles files;
  std::unique_ptr<Backend> backend;  // null when shared
  std::unique_ptr<Model> own;        // null when shared
  std::unique_ptr<Adapter> adapter;  // teacher.adapter; null without
  std::unique_ptr<Tokenizer> tokenizer;
  const Model* model = nullptr;
  std::vector<std::string> notes;  // on teacher.adapter, for the user

  bool shared() const { return own == nullptr; }
};

// Opens teacher.path. `student` (may be null) is shared when the teacher is the same base with the
// same weight format, device and compute, and the student's weights are frozen. counting:
// BackendOptions::counting, for the teacher's own backend. Throws Error{kInput}.
TeacherModel OpenTeacherModel(const Recipe& recipe, const ModelFiles& student_files,
                              const Model* student, bool counting = false);

// The format that the teacher's weights are held in. NF4 leaves blocks of a GGUF as they are.
std::string TeacherWeights(const TeacherRecipe& recipe, const ModelFiles& files);

// Checks that teacher and student use the same tokens: their tokenizer tables agree, and both
// encode every training row to the same ids. Throws Error{kInput} with the first difference; the
// message suggests teacher.divergence sorted for distillation across tokenizers.
void CheckSameTokens(const Recipe& recipe, const TeacherModel& teacher, const RecipeData& data);

// For a teacher with another tokenizer: the training rows in the teacher's own tokens, by
// Example::row. Throws Error{kInput} for rows of token ids, and for data.over_length split.
std::map<int64_t, Example> RowsForTeacher(const Recipe& recipe, const TeacherModel& teacher,
                                          const RecipeData& data);

}  // namespace retort
