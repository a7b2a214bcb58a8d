// SPDX-License-Identifier: Apache-2.0
// Splits the columns of x [T,M] into consecutive parts y_i [T,N_i]; the N_i sum to M.
//   dx[:, columns of i] += dy_i
// One step with several outputs. Saves nothing.
#include <numeric>
#include <vector>

#include "autograd/ops.h"

namespace retort::ops {

void Split(Context& context, const Var& x, std::span<const int64_t> widths, std::span<Var> parts) {
  RETORT_CHECK(widths.size() == parts.size() &&
                   std::accumulate(widths.begin(), widths.end(), int64_t{0}) == x.value.cols(),
               "split: x ", x.shape().text(), " into ", parts.size(), " parts of ", widths.size(),
               " widths");

  int64_t begin = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    Tensor y = context.backend.New({x.value.rows(), widths[i]});
    context.backend.CopyColumns(x.value, begin, y);
    parts[i] = {y};
    begin += widths[i];
  }
  if (!context.tape || !x.wants_gradient()) return;

  const std::vector<int64_t> cut(widths.begin(), widths.end());
  context.tape->RecordAll(parts, [dx = x.sink(), cut](Backend& k, std::span<const Tensor> dy) {
    int64_t at = 0;
    for (size_t i = 0; i < cut.size(); at += cut[i++]) {
      if (dy[i]) k.AddColumns(dy[i], at, dx.Sum(k));
    }
  });
}

}  // namespace retort::ops
