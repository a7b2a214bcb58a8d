// SPDX-License-Identifier: Apache-2.0
// The distance of projected hidden states to the teacher's, chunk by chunk:
//   y = x[rows] P^T,   losses = distance(y, t),   dx[rows] += dy P,   dP += dy^T x[rows]
// Like the head's loss it is a root of the tape that knows its own scale, so each chunk's gradient
// is taken at once, and what is saved is dx of the rows compared, [N,C].
#include <algorithm>
#include <numeric>

#include "autograd/ops.h"

namespace retort::ops {
namespace {

constexpr int64_t kChunkElements = int64_t{1} << 20;

}  // namespace

double HiddenLoss(Context& context, const Var& x, std::span<const int32_t> rows,
                  const Tensor& teacher, const Var& projection, HiddenLossKind kind, float scale) {
  Backend& k = context.backend;
  const auto count = static_cast<int64_t>(rows.size());
  const Tensor& p = projection.value;
  const int64_t width = x.value.cols(), target_width = p.rows();
  RETORT_CHECK(p.cols() == width && teacher.elements() == count * target_width, "hidden loss: x ",
               x.shape().text(), ", ", count, " rows, teacher ", teacher.shape().text(),
               ", projection ", p.shape().text());
  const bool want_dx = context.tape && x.wants_gradient() && scale != 0;
  const bool want_dp = context.tape && projection.wants_gradient() && scale != 0;
  const int64_t chunk =
      std::clamp<int64_t>(kChunkElements / std::max(width, target_width), 16, 4096);

  std::vector<double> losses(rows.size());
  Tensor dx_rows = want_dx ? k.New({count, width}) : Tensor();
  for (int64_t begin = 0; begin < count; begin += chunk) {
    const int64_t n = std::min(chunk, count - begin);
    const auto from = static_cast<size_t>(begin), size = static_cast<size_t>(n);
    Tensor selected = k.New({n, width}), y = k.New({n, target_width});
    k.GatherRows(x.value, rows.subspan(from, size), selected);
    k.Gemm(false, true, 1, selected, p, 0, y);
    k.HiddenDistance(y, teacher.RowRange(begin, n), kind, want_dx || want_dp ? scale : 0,
                     std::span(losses).subspan(from, size));
    if (want_dx) {
      Tensor dx = dx_rows.RowRange(begin, n);
      k.Gemm(false, false, 1, y, p, 0, dx);
    }
    if (want_dp) k.Gemm(true, false, 1, y, selected, 1, projection.GradientSum(k));
  }
  if (want_dx) {
    context.tape->RecordRoot(
        [x, dx_rows, saved = std::vector<int32_t>(rows.begin(), rows.end())](Backend& b) {
          b.ScatterAddRows(dx_rows, saved, x.GradientSum(b));
        });
  }
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

}  // namespace retort::ops
