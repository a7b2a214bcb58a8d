// SPDX-License-Identifier: Apache-2.0
// y[t] = table[ids[t]] + scale b[ids[t]] a.
//   dtable[ids[t]] += dy[t].   With u[t] = b[ids[t]]: da += scale u^T dy, db[ids[t]] += scale dy[t]
//   a^T. Saves the ids and u.
#include "autograd/ops.h"

namespace retort::ops {

Var Embedding(Context& context, const PreparedWeight& table, const Tensor& ids,
              const LowRank* adapter) {
  Backend& k = context.backend;
  Tensor y = k.New({ids.elements(), table.cols()});
  k.EmbedRows(table, ids, y);
  if (!adapter) return {y};

  const auto& [a, b, scale, mask] = *adapter;
  RETORT_CHECK(a.value.cols() == table.cols() && b.value.rows() == table.rows() &&
                   a.value.rows() == b.value.cols() && mask.rate == 0,
               "adapter: A ", a.shape().text(), ", B ", b.shape().text(), " beside a table");
  Tensor u = k.New({ids.elements(), a.value.rows()});
  k.GatherRows(b.value, ids, u);
  k.Gemm(false, false, scale, u, a.value, 1, y);

  return context.Record(y, {&a, &b}, [low = *adapter, ids, u](Backend& own, const Tensor& dy) {
    const auto& [a, b, scale, mask] = low;
    if (a.wants_gradient()) own.Gemm(true, false, scale, u, dy, 1, a.GradientSum(own));
    if (!b.wants_gradient()) return;
    Tensor du = own.New(u.shape());
    own.Gemm(false, true, scale, dy, a.value, 0, du);
    own.ScatterAddRows(du, ids, b.GradientSum(own));
  });
}

Var Embedding(Context& context, const Var& table, const Tensor& ids) {
  return Gather(context, table, ids);
}

}  // namespace retort::ops
