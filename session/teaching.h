// SPDX-License-Identifier: Apache-2.0
// Fills a recipe's teacher cache, or writes answers of its teacher.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "session/open_teacher.h"
#include "train/generate_answers.h"
#include "train/objectives/cached_distillation.h"
#include "train/teach.h"

namespace retort {

// Identifies what the recipe's cache is made from. `teacher` is null when the recipe names a cache
// but no teacher; the teacher's fields are then empty. The vocabulary is the smaller of teacher's
// and student's.
TeacherCacheKey CacheKeyOf(const Recipe& recipe, const RecipeData& data, int64_t student_vocab,
                           const TeacherModel* teacher);
// Opens the recipe's finished cache and checks that it belongs to the teacher, tokenizer, template
// and rows. Throws Error{kInput}.
std::unique_ptr<TeacherCacheReader> OpenTeacherCache(const Recipe& recipe, const RecipeData& data,
                                                     const ModelFiles& student);

class TeachingSession {
 public:
  enum class Work { kCache, kAnswers };
  // Opens teacher and data and checks that they fit the work. For a cache, teacher and student must
  // use the same tokens (the student's weights are not read). For answers, every row must have a
  // prompt; it need not have an answer. Throws Error{kInput}.
  TeachingSession(const Recipe& recipe, Work work);

  // A summary of what will be written, line by line: teacher, rows, bytes per token and in total.
  std::vector<std::string> Describe() const;
  int64_t examples() const { return data_.train.examples.size(); }
  int64_t rows() const { return data_.rows.size(); }

  // Fills teacher.cache, continuing where an earlier call stopped.
  TeacherCacheSummary Cache(const TeachProgress& on_progress);

  // Sequence-level distillation (arXiv 1606.07947): the teacher answers the prompt of every
  // training row, and each row with this answer becomes a line of `out`, in the order of the rows.
  // Existing lines are kept. Throws Error{kInput} when one of them belongs to another prompt.
  GeneratedAnswers Generate(const Path& out, double temperature,
                            const std::function<void(int64_t rows_done)>& on_progress);

 private:
  const Recipe recipe_;
  const Work work_;
  ModelFiles student_;
  RecipeData data_;
  TeacherModel teacher_;
};

}  // namespace retort
