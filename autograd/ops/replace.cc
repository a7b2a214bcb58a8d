// SPDX-License-Identifier: Apache-2.0
// y is x with some rows, or columns, replaced by those of `part`.
//   dpart += those of dy,   dx += dy with zeros there. Saves their numbers.
#include "autograd/ops.h"

namespace retort::ops {

Var ReplaceRows(Context& context, const Var& x, const Var& part, const Tensor& rows) {
  RETORT_CHECK(part.value.rows() == rows.elements() && part.value.cols() == x.value.cols(),
               part.shape().text(), " as rows of ", x.shape().text());
  Tensor y = x.value;
  context.backend.PutRows(part.value, rows, y);

  return context.Record(
      y, {&x, &part}, [dx = x.sink(), dpart = part.sink(), rows](Backend& k, const Tensor& dy) {
        if (dpart.wanted()) {
          Tensor own = k.New(dpart.shape);
          k.GatherRows(dy, rows, own);
          dpart.Accumulate(k, own);
        }
        if (!dx.wanted()) return;
        Tensor rest = dy;  // shares dy's elements, which no other step uses any more
        k.PutRows(k.Zeros(dpart.shape), rows, rest);
        dx.Accumulate(k, rest);
      });
}

Var ReplaceColumns(Context& context, const Var& x, const Var& part, const Tensor& columns) {
  RETORT_CHECK(part.value.cols() == columns.elements() && part.value.rows() == x.value.rows(),
               part.shape().text(), " as columns of ", x.shape().text());
  Tensor y = x.value;
  context.backend.PutColumns(part.value, columns, y);

  return context.Record(
      y, {&x, &part}, [dx = x.sink(), dpart = part.sink(), columns](Backend& k, const Tensor& dy) {
        Tensor own = k.New(dpart.shape), rest = dy;  // of dy's elements: nobody else's any more
        k.TakeColumns(rest, columns, own);
        if (dpart.wanted()) dpart.Accumulate(k, own);
        if (dx.wanted()) dx.Accumulate(k, rest);
      });
}

}  // namespace retort::ops
