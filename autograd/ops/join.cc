// SPDX-License-Identifier: Apache-2.0
// Puts the columns of x_i [T,N_i] beside each other: y [T, sum of N_i].
//   dx_i += dy[:, columns of i]
// Saves nothing.
#include <vector>

#include "autograd/ops.h"

namespace retort::ops {

Var Join(Context& context, std::initializer_list<const Var*> parts) {
  int64_t width = 0;
  for (const Var* part : parts) width += part->value.cols();
  const int64_t rows = (*parts.begin())->value.rows();

  Tensor y = context.backend.Zeros({rows, width});
  std::vector<GradientSink> sinks;
  int64_t begin = 0;
  for (const Var* part : parts) {
    RETORT_CHECK(part->value.rows() == rows, "join: ", part->shape().text(), " beside ", rows,
                 " rows");
    context.backend.AddColumns(part->value, begin, y);
    begin += part->value.cols();
    sinks.push_back(part->sink());
  }

  return context.Record(y, parts, [sinks](Backend& k, const Tensor& dy) {
    int64_t at = 0;
    for (const GradientSink& sink : sinks) {
      if (sink.wanted()) {
        Tensor part = k.New(sink.shape);
        k.CopyColumns(dy, at, part);
        sink.Accumulate(k, part);
      }
      at += sink.shape.back();
    }
  });
}

}  // namespace retort::ops
