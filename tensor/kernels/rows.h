// SPDX-License-Identifier: Apache-2.0
// Reading and writing rows by index. Row indices are tensors of i32. Conventions as in
// tensor/backend.h.
#pragma once

#include "tensor/prepared.h"
#include "tensor/tensor.h"

namespace retort {

class RowKernels {
 public:
  // out[i,:] = table row ids[i], decoded. ids [T], each in [0, rows).
  virtual void EmbedRows(const PreparedWeight& table, const Tensor& ids, Tensor& out) = 0;
  // out[i,:] = x[rows[i],:]
  virtual void GatherRows(const Tensor& x, const Tensor& rows, Tensor& out) = 0;
  // out[rows[i],:] += x[i,:]; a row may be named more than once
  virtual void ScatterAddRows(const Tensor& x, const Tensor& rows, Tensor& out) = 0;
  // out[rows[i],:] = x[i,:]; no row may be named twice
  virtual void PutRows(const Tensor& x, const Tensor& rows, Tensor& out) = 0;
  // x [T,N], columns [N], out [T,M]: out[t, columns[i]] = x[t,i]; none may be named twice
  virtual void PutColumns(const Tensor& x, const Tensor& columns, Tensor& out) = 0;
  // The same way back, which leaves zeros: x[t,i] = y[t, columns[i]], y[t, columns[i]] = 0
  virtual void TakeColumns(Tensor& y, const Tensor& columns, Tensor& x) = 0;
  // x [T,M], y [T,N], begin + N <= M: y[t,:] = x[t, begin ... begin + N)
  virtual void CopyColumns(const Tensor& x, int64_t begin, Tensor& y) = 0;
  // dy [T,N], dx [T,M], begin + N <= M: dx[t, begin + c] += dy[t,c]
  virtual void AddColumns(const Tensor& dy, int64_t begin, Tensor& dx) = 0;
  // Writes row t of x [T,K*D] to row rows[t] of pages [pages,K,P,D], converted to their type (A,
  // f16 or bf16).
  virtual void StoreRows(const Tensor& x, const Tensor& rows, Tensor& pages) = 0;

 protected:
  ~RowKernels() = default;
};

// Throws Error{kBug} unless `part` is as large as the columns of `whole` from `begin` on that it is
// copied from or added to.
void CheckColumns(const Tensor& whole, int64_t begin, const Tensor& part);

}  // namespace retort
