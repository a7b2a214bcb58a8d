// SPDX-License-Identifier: Apache-2.0
// The distance between projected hidden states and the teacher's, chunk by chunk:
//   y = x[rows] P^T,   losses = distance(y, t),   dx[rows] += dy P,   dP += dy^T x[rows]
// Like the head's loss, it is a root of the tape and includes its own scale, so each chunk's
// gradient is computed immediately. Only dx of the compared rows, [N,C], is saved.
#include <algorithm>

#include "autograd/ops.h"

namespace retort::ops {
namespace {

constexpr int64_t kHiddenElements = int64_t{1} << 20;

}  // namespace

Tensor HiddenLoss(Context& context, const Var& x, const Tensor& rows, const Tensor& teacher,
                  const Var& projection, HiddenLossKind kind, float scale) {
  Backend& k = context.backend;
  const int64_t count = rows.elements();
  const Tensor& p = projection.value;
  const int64_t width = x.value.cols(), target_width = p.rows();
  RETORT_CHECK(p.cols() == width && teacher.elements() == count * target_width, "hidden loss: x ",
               x.shape().text(), ", ", count, " rows, teacher ", teacher.shape().text(),
               ", projection ", p.shape().text());
  const bool want_dx = context.tape && x.wants_gradient() && scale != 0;
  const bool want_dp = context.tape && projection.wants_gradient() && scale != 0;
  const int64_t chunk =
      std::clamp<int64_t>(kHiddenElements / std::max(width, target_width), 16, 4096);

  Tensor losses = k.New({count}, DType::kF64);
  Tensor dx_rows = want_dx ? k.New({count, width}) : Tensor();
  for (int64_t begin = 0; begin < count; begin += chunk) {
    const int64_t n = std::min(chunk, count - begin);
    Tensor selected = k.New({n, width}), y = k.New({n, target_width});
    Tensor part = losses.Part(begin, n);
    k.GatherRows(x.value, rows.Part(begin, n), selected);
    k.Gemm(false, true, 1, selected, p, 0, y);
    k.HiddenDistance(y, teacher.RowRange(begin, n), kind, want_dx || want_dp ? scale : 0, part);
    if (want_dx) {
      Tensor dx = dx_rows.RowRange(begin, n);
      k.Gemm(false, false, 1, y, p, 0, dx);
    }
    if (want_dp) k.Gemm(true, false, 1, y, selected, 1, projection.GradientSum(k));
  }
  if (want_dx) {
    context.tape->RecordRoot(
        [x, dx_rows, rows](Backend& b) { b.ScatterAddRows(dx_rows, rows, x.GradientSum(b)); });
  }
  return losses;
}

}  // namespace retort::ops
