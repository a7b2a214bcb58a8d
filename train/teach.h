// SPDX-License-Identifier: Apache-2.0
// A teacher at work before any student: its logits into a cache, its answers into a file.
#pragma once

#include <functional>

#include "data/teacher_cache.h"
#include "model/model.h"

namespace retort {

using TeachProgress = std::function<void(int64_t examples_done, int64_t tokens_done)>;

// Reads the examples that `writer` has not got yet, `batch_tokens` at a time, and appends what the
// model (adapter may be null) says of their tokens that carry loss, over the key's first `vocab`
// ids; then finishes the cache.
void CacheTeacher(const Model& model, const Adapter* adapter, const std::vector<Example>& examples,
                  const TeacherCacheKey& key, int64_t batch_tokens, TeacherCacheWriter& writer,
                  const TeachProgress& on_progress);

}  // namespace retort
