// SPDX-License-Identifier: Apache-2.0
// Gathering, adding and storing rows.
#include <cstring>
#include <utility>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

struct AddRow {
  template <int W>
  RETORT_INLINE static void Run(const float* x, float* sum, int64_t n) {
    for (int64_t i = 0; i < n; ++i) sum[i] += x[i];
  }
};

// The row indices. Throws Error{kBug} unless there are `count` of them, all in [0, limit).
const int32_t* CheckedNumbers(const Tensor& rows, int64_t count, int64_t limit) {
  RETORT_CHECK(rows.elements() == count, rows.elements(), " row numbers for ", count, " rows");
  const int32_t* numbers = rows.data<int32_t>();
  for (int64_t i = 0; i < count; ++i) {
    RETORT_CHECK(numbers[i] >= 0 && numbers[i] < limit, "row ", numbers[i], " of ", limit);
  }
  return numbers;
}

void StoreRow(const float* x, int64_t n, std::byte* row, DType type) {
  if (type == DType::kF32) {
    std::memcpy(row, x, static_cast<size_t>(n) * sizeof(float));
  } else if (type == DType::kBF16) {
    std::transform(x, x + n, reinterpret_cast<BF16*>(row), [](float v) { return ToBF16(v); });
  } else {
    std::transform(x, x + n, reinterpret_cast<F16*>(row), [](float v) { return ToF16(v); });
  }
}

}  // namespace

void CpuBackend::GatherRows(const Tensor& x, const Tensor& numbers, Tensor& out) {
  const int64_t cols = x.cols();
  RETORT_CHECK(out.cols() == cols);
  const int32_t* rows = CheckedNumbers(numbers, out.rows(), x.rows());
  ForRanges(pool_, out.rows(), RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::memcpy(out.data<float>() + i * cols, x.data<float>() + rows[i] * cols,
                  static_cast<size_t>(cols) * sizeof(float));
    }
  });
}

// Indices may repeat, so each piece is a strip of columns and adds the rows in order.
void CpuBackend::ScatterAddRows(const Tensor& x, const Tensor& numbers, Tensor& out) {
  const int64_t cols = x.cols();
  RETORT_CHECK(out.cols() == cols);
  const int32_t* rows = CheckedNumbers(numbers, x.rows(), out.rows());
  ForRanges(pool_, cols, kAddedColumns, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < x.rows(); ++i) {
      const float* from = x.data<float>() + i * cols + begin;
      CallSimd<AddRow>(isa_, from, out.data<float>() + rows[i] * cols + begin, end - begin);
    }
  });
}

void CpuBackend::PutRows(const Tensor& x, const Tensor& numbers, Tensor& out) {
  const int64_t cols = x.cols();
  RETORT_CHECK(out.cols() == cols);
  const int32_t* rows = CheckedNumbers(numbers, x.rows(), out.rows());
  ForRanges(pool_, x.rows(), RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::memcpy(out.data<float>() + rows[i] * cols, x.data<float>() + i * cols,
                  static_cast<size_t>(cols) * sizeof(float));
    }
  });
}

void CpuBackend::PutColumns(const Tensor& x, const Tensor& numbers, Tensor& out) {
  const int64_t cols = x.cols();
  RETORT_CHECK(x.rows() == out.rows());
  const int32_t* columns = CheckedNumbers(numbers, cols, out.cols());
  for (int64_t t = 0; t < x.rows(); ++t) {
    for (int64_t i = 0; i < cols; ++i)
      out.data<float>()[t * out.cols() + columns[i]] = x.data<float>()[t * cols + i];
  }
}

void CpuBackend::TakeColumns(Tensor& y, const Tensor& numbers, Tensor& x) {
  const int64_t cols = x.cols();
  RETORT_CHECK(x.rows() == y.rows());
  const int32_t* columns = CheckedNumbers(numbers, cols, y.cols());
  for (int64_t t = 0; t < x.rows(); ++t) {
    for (int64_t i = 0; i < cols; ++i)
      x.data<float>()[t * cols + i] = std::exchange(y.data<float>()[t * y.cols() + columns[i]], 0);
  }
}

void CpuBackend::CopyColumns(const Tensor& x, int64_t begin, Tensor& y) {
  CheckColumns(x, begin, y);
  const int64_t cols = y.cols();
  ForRanges(pool_, y.rows(), RowsPerPiece(cols), [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t) {
      std::memcpy(y.data<float>() + t * cols, x.data<float>() + t * x.cols() + begin,
                  static_cast<size_t>(cols) * sizeof(float));
    }
  });
}

void CpuBackend::AddColumns(const Tensor& dy, int64_t begin, Tensor& dx) {
  CheckColumns(dx, begin, dy);
  const int64_t cols = dy.cols();
  ForRanges(pool_, dy.rows(), RowsPerPiece(cols), [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t) {
      const float* from = dy.data<float>() + t * cols;
      CallSimd<AddRow>(isa_, from, dx.data<float>() + t * dx.cols() + begin, cols);
    }
  });
}

void CpuBackend::StoreRows(const Tensor& x, const Tensor& numbers, Tensor& pages) {
  const DType type = pages.dtype();
  RETORT_CHECK(pages.shape().rank() == 4, "pages ", pages.shape().text());
  const int64_t heads = pages.shape()[1], page_rows = pages.shape()[2], dim = pages.cols(),
                cols = x.cols();
  RETORT_CHECK(cols == heads * dim, x.shape().text(), " into ", pages.shape().text());
  RETORT_CHECK(type == DType::kF32 || type == DType::kF16 || type == DType::kBF16, "pages of ",
               NameOf(type));
  const int32_t* rows = CheckedNumbers(numbers, x.rows(), pages.shape()[0] * page_rows);
  ForRanges(pool_, x.rows(), RowsPerPiece(cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t row = rows[t], page = row / page_rows;
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t to = ((page * heads + h) * page_rows + row % page_rows) * dim;
        StoreRow(x.data<float>() + t * cols + h * dim, dim, pages.raw() + to * SizeOf(type), type);
      }
    }
  });
}

}  // namespace retort
