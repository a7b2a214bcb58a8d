// SPDX-License-Identifier: Apache-2.0
// A recipe's teacher, opened and proved to fit the student.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "session/open_data.h"
#include "train/objectives/online_distillation.h"

namespace retort {

// A teacher's model: its own, or the student's read without the student's adapter.
struct TeacherModel {
  ModelFiles files;
  std::unique_ptr<Backend> backend;  // null when shared
  std::unique_ptr<Model> own;        // null when shared
  std::unique_ptr<Adapter> adapter;  // teacher.adapter; null without
  std::unique_ptr<Tokenizer> tokenizer;
  const Model* model = nullptr;

  bool shared() const { return own == nullptr; }
};

// Opens teacher.path. `student`, where there is one, is shared when the teacher is the same base
// held in the same way and the student's weights are frozen. Throws Error{kInput}.
TeacherModel OpenTeacherModel(const Recipe& recipe, const ModelFiles& student_files,
                              const Model* student);

// That teacher and student speak in the same tokens: their tables agree, and both make the same ids
// of every training row. Throws Error{kInput} with the first difference, naming teacher.divergence
// sorted as the way to distil across tokenizers.
void CheckSameTokens(const Recipe& recipe, const TeacherModel& teacher, const RecipeData& data);

// The training rows in the teacher's own tokens, by Example::row, for a teacher with another
// tokenizer.
std::map<int64_t, Example> RowsForTeacher(const Recipe& recipe, const TeacherModel& teacher,
                                          const RecipeData& data);

}  // namespace retort
