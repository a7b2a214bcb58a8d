// SPDX-License-Identifier: Apache-2.0
// Reading and writing rows and columns by number. Bound by memory: a block moves one row, or a
// strip of the rows that it owns (AddRows). Row numbers are the caller's to check, since they are
// in the device's memory.
#include "tensor/cuda/arguments.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/rows.h"

namespace retort::cuda {
namespace {

template <int kWidth>
__global__ void GatherRowsKernel(Global<const float> x, Global<const int32_t> rows, int64_t cols,
                                 Global<float> out) {
  const int64_t i = blockIdx.x, row = rows[i];
  CopyRow<kWidth>(x + row * cols, cols, out + i * cols);
}

template <int kWidth>
__global__ void PutRowsKernel(Global<const float> x, Global<const int32_t> rows, int64_t cols,
                              Global<float> out) {
  const int64_t i = blockIdx.x, row = rows[i];
  CopyRow<kWidth>(x + i * cols, cols, out + row * cols);
}

// x [T,N], whole [T,M]; a thread has one element of x.
__global__ void PutColumnsKernel(Global<const float> x, Global<const int32_t> columns,
                                 int64_t count, int64_t cols, int64_t whole_cols,
                                 Global<float> whole) {
  const int64_t i = ThreadNumber();
  if (i >= count) return;
  const int64_t column = columns[i % cols];
  whole[i / cols * whole_cols + column] = x[i];
}

__global__ void TakeColumnsKernel(Global<float> whole, Global<const int32_t> columns, int64_t count,
                                  int64_t cols, int64_t whole_cols, Global<float> x) {
  const int64_t i = ThreadNumber();
  if (i >= count) return;
  const int64_t column = columns[i % cols], from = i / cols * whole_cols + column;
  x[i] = whole[from];
  whole[from] = 0;
}

// `x` begins at the first column that is copied.
template <int kWidth>
__global__ void CopyColumnsKernel(Global<const float> x, int64_t x_cols, int64_t cols,
                                  Global<float> y) {
  CopyRow<kWidth>(x + blockIdx.x * x_cols, cols, y + blockIdx.x * cols);
}

__global__ void AddColumnsKernel(Global<const float> dy, int64_t cols, int64_t dx_cols,
                                 Global<float> dx) {
  for (int64_t c = threadIdx.x; c < cols; c += blockDim.x)
    dx[blockIdx.x * dx_cols + c] += dy[blockIdx.x * cols + c];
}

// Row t of x [T,K*D] into row rows[t] of pages [pages,K,P,D].
template <class T>
__global__ void StoreRowsKernel(Global<const float> x, Global<const int32_t> rows, int heads,
                                int dim, int page_rows, Global<T> pages) {
  const int64_t t = blockIdx.x;
  const int32_t row = rows[t];
  const int64_t page = row / page_rows;
  const int cols = heads * dim, in_page = row % page_rows;
  for (int c = static_cast<int>(threadIdx.x); c < cols; c += static_cast<int>(blockDim.x)) {
    const int64_t head = page * heads + c / dim;
    const float value = x[t * cols + c];
    pages[(head * page_rows + in_page) * dim + c % dim] = Narrow<T>(value);
  }
}

void CheckNumbers(const Tensor& numbers, int64_t count) {
  RETORT_CHECK(numbers.elements() == count, numbers.elements(), " row numbers for ", count,
               " rows");
}

void CheckPicked(const Tensor& whole, const Tensor& columns, const Tensor& part) {
  RETORT_CHECK(part.rows() == whole.rows() && columns.elements() == part.cols(), columns.elements(),
               " columns of ", whole.shape().text(), " for ", part.shape().text());
}

}  // namespace

void CudaBackend::GatherRows(const Tensor& x, const Tensor& rows, Tensor& out) {
  const int64_t cols = x.cols();
  RETORT_CHECK(out.cols() == cols, x.shape().text(), " into ", out.shape().text());
  CheckNumbers(rows, out.rows());
  WithWidth(InFours(cols, In<float>(x), Out<float>(out)), [&]<int kWidth>() {
    Launch(*queue_, RowBlocks(out.rows(), cols), GatherRowsKernel<kWidth>, In<float>(x),
           In<int32_t>(rows), cols, Out<float>(out));
  });
}

void CudaBackend::ScatterAddRows(const Tensor& x, const Tensor& rows, Tensor& out) {
  const int64_t cols = x.cols();
  RETORT_CHECK(out.cols() == cols, x.shape().text(), " into ", out.shape().text());
  CheckNumbers(rows, x.rows());
  AddRows(*queue_, In<float>(x), In<int32_t>(rows), x.rows(), cols, Once(), out.rows(),
          Out<float>(out));
}

void CudaBackend::PutRows(const Tensor& x, const Tensor& rows, Tensor& out) {
  const int64_t cols = x.cols();
  RETORT_CHECK(out.cols() == cols, x.shape().text(), " into ", out.shape().text());
  CheckNumbers(rows, x.rows());
  WithWidth(InFours(cols, In<float>(x), Out<float>(out)), [&]<int kWidth>() {
    Launch(*queue_, RowBlocks(x.rows(), cols), PutRowsKernel<kWidth>, In<float>(x),
           In<int32_t>(rows), cols, Out<float>(out));
  });
}

void CudaBackend::PutColumns(const Tensor& x, const Tensor& columns, Tensor& out) {
  CheckPicked(out, columns, x);
  Launch(*queue_, OneEach(x.elements()), PutColumnsKernel, In<float>(x), In<int32_t>(columns),
         x.elements(), x.cols(), out.cols(), Out<float>(out));
}

void CudaBackend::TakeColumns(Tensor& y, const Tensor& columns, Tensor& x) {
  CheckPicked(y, columns, x);
  Launch(*queue_, OneEach(x.elements()), TakeColumnsKernel, Out<float>(y), In<int32_t>(columns),
         x.elements(), x.cols(), y.cols(), Out<float>(x));
}

void CudaBackend::CopyColumns(const Tensor& x, int64_t begin, Tensor& y) {
  CheckColumns(x, begin, y);
  const int64_t cols = y.cols();
  const Global<const float> from = In<float>(x) + begin;
  const bool fours = InFours(cols, from, Out<float>(y)) && x.cols() % 4 == 0;
  WithWidth(fours, [&]<int kWidth>() {
    Launch(*queue_, RowBlocks(y.rows(), cols), CopyColumnsKernel<kWidth>, from, x.cols(), cols,
           Out<float>(y));
  });
}

void CudaBackend::AddColumns(const Tensor& dy, int64_t begin, Tensor& dx) {
  CheckColumns(dx, begin, dy);
  Launch(*queue_, RowBlocks(dy.rows(), dy.cols()), AddColumnsKernel, In<float>(dy), dy.cols(),
         dx.cols(), Out<float>(dx) + begin);
}

void CudaBackend::StoreRows(const Tensor& x, const Tensor& rows, Tensor& pages) {
  const Shape& shape = pages.shape();
  RETORT_CHECK(shape.rank() == 4 && x.cols() == shape[1] * shape[3], x.shape().text(), " into ",
               shape.text());
  CheckNumbers(rows, x.rows());
  const auto store = [&]<class T>(Global<T> to) {
    Launch(*queue_, RowBlocks(x.rows(), x.cols()), StoreRowsKernel<T>, In<float>(x),
           In<int32_t>(rows), static_cast<int>(shape[1]), static_cast<int>(shape[3]),
           static_cast<int>(shape[2]), to);
  };
  switch (pages.dtype()) {
    case DType::kF32:
      return store(Out<float>(pages));
    case DType::kF16:
      return store(Out<F16>(pages));
    case DType::kBF16:
      return store(Out<BF16>(pages));
    default:
      RETORT_CHECK(false, "pages of ", NameOf(pages.dtype()));
  }
}

}  // namespace retort::cuda
