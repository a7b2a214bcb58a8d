// SPDX-License-Identifier: Apache-2.0
// Runs a teacher ahead of training: writes its most probable outcomes into a cache.
#pragma once

#include <functional>

#include "data/teacher_cache.h"
#include "model/model.h"

namespace retort {

using TeachProgress = std::function<void(int64_t examples_done, int64_t tokens_done)>;

// Computes the examples that `writer` does not hold yet, about `batch_tokens` tokens at a time, and
// appends the model's most probable outcomes (TopTokens) of each token that carries loss, over the
// first key.vocab ids. Then finishes the cache. adapter may be null.
void CacheTeacher(const Model& model, const Adapter* adapter, const Examples& examples,
                  const TeacherCacheKey& key, int64_t batch_tokens, TeacherCacheWriter& writer,
                  const TeachProgress& on_progress);

}  // namespace retort
