// SPDX-License-Identifier: Apache-2.0
// y[t] = table[ids[t]].   dtable[ids[t]] += dy[t].   Saves the ids.
#include <utility>

#include "autograd/ops.h"

namespace retort::ops {

Var Embedding(Context& context, const Weight& table, std::span<const int32_t> ids) {
  Tensor y = context.backend.New({static_cast<int64_t>(ids.size()), table.cols()});
  context.backend.EmbedRows(table, ids, y);
  return {y};
}

Var Embedding(Context& context, const Var& table, std::vector<int32_t> ids) {
  return Gather(context, table, std::move(ids));
}

}  // namespace retort::ops
