// SPDX-License-Identifier: Apache-2.0
// y[t] = table[ids[t]].   dtable[ids[t]] += dy[t].   Saves the ids.
#include "autograd/ops.h"

namespace retort::ops {

Var Embedding(Context& context, const PreparedWeight& table, const Tensor& ids) {
  Tensor y = context.backend.New({ids.elements(), table.cols()});
  context.backend.EmbedRows(table, ids, y);
  return {y};
}

Var Embedding(Context& context, const Var& table, const Tensor& ids) {
  return Gather(context, table, ids);
}

}  // namespace retort::ops
