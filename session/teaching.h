// SPDX-License-Identifier: Apache-2.0
// From a recipe to its teacher's cache, or to answers that its teacher wrote.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "session/open_teacher.h"
#include "train/generate_answers.h"
#include "train/objectives/cached_distillation.h"
#include "train/teach.h"

namespace retort {

// What the recipe's cache is made from. Where the recipe names no teacher but only a cache, the
// teacher's own fields are empty. The vocabulary is what teacher and student share.
TeacherCacheKey CacheKeyOf(const Recipe& recipe, const RecipeData& data, int64_t student_vocab,
                           const TeacherModel* teacher);
// The recipe's finished cache, proved to belong to teacher, tokenizer, template and rows.
std::unique_ptr<TeacherCacheReader> OpenTeacherCache(const Recipe& recipe, const RecipeData& data,
                                                     const ModelFiles& student);

class TeachingSession {
 public:
  enum class Work { kCache, kAnswers };
  // Opens teacher and data and proves that they fit the work: for a cache the student, whose
  // weights are not read, must speak in the teacher's tokens; for answers every row must have a
  // prompt. Throws Error{kInput}.
  TeachingSession(const Recipe& recipe, Work work);

  // What will be written, before it is: teacher, rows, bytes a token and in all, a line each.
  std::vector<std::string> Describe() const;
  int64_t examples() const { return static_cast<int64_t>(data_.train.examples.size()); }
  int64_t rows() const { return data_.rows.size(); }

  // Fills teacher.cache, going on where an earlier call stopped.
  TeacherCacheSummary Cache(const TeachProgress& on_progress);

  // Sequence-level distillation (arXiv 1606.07947): the teacher answers the prompt of every
  // training row, and each row with that answer becomes a line of `out`, in the rows' order. Lines
  // that are there already are kept; Error{kInput} when one belongs to another prompt.
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
