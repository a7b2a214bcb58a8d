// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/quant.h"
#include "tensor/reference/reference_backend.h"

namespace retort {
namespace {

// The row indices. Throws Error{kBug} unless there is one for each row of `each` and all are in
// [0, limit).
std::span<const int32_t> Checked(const Tensor& rows, int64_t limit, const Tensor& each) {
  RETORT_CHECK(rows.elements() == each.rows(), rows.shape().text(), " row numbers for ",
               each.shape().text());
  const std::span<const int32_t> numbers(rows.data<int32_t>(),
                                         static_cast<size_t>(rows.elements()));
  for (int32_t row : numbers) RETORT_CHECK(row >= 0 && row < limit, "row ", row, " of ", limit);
  return numbers;
}

}  // namespace

void ReferenceBackend::EmbedRows(const PreparedWeight& prepared, const Tensor& numbers,
                                 Tensor& out) {
  const Weight& table = Stored(prepared);
  const std::span<const int32_t> ids = Checked(numbers, table.rows(), out);
  RETORT_CHECK(out.cols() == table.cols());
  std::vector<float> row(static_cast<size_t>(table.cols()));
  for (size_t i = 0; i < ids.size(); ++i) {
    DecodeRow(table, ids[i], 0, table.cols(), row.data());
    for (size_t c = 0; c < row.size(); ++c) out.data<double>()[i * row.size() + c] = row[c];
  }
}

void ReferenceBackend::GatherRows(const Tensor& x, const Tensor& numbers, Tensor& out) {
  const std::span<const int32_t> rows = Checked(numbers, x.rows(), out);
  RETORT_CHECK(x.cols() == out.cols());
  for (int64_t i = 0; i < out.rows(); ++i) {
    for (int64_t c = 0; c < x.cols(); ++c) {
      out.data<double>()[i * x.cols() + c] =
          x.data<double>()[rows[static_cast<size_t>(i)] * x.cols() + c];
    }
  }
}

void ReferenceBackend::ScatterAddRows(const Tensor& x, const Tensor& numbers, Tensor& out) {
  const std::span<const int32_t> rows = Checked(numbers, out.rows(), x);
  RETORT_CHECK(x.cols() == out.cols());
  for (int64_t i = 0; i < x.rows(); ++i) {
    for (int64_t c = 0; c < x.cols(); ++c) {
      out.data<double>()[rows[static_cast<size_t>(i)] * x.cols() + c] +=
          x.data<double>()[i * x.cols() + c];
    }
  }
}

void ReferenceBackend::PutRows(const Tensor& x, const Tensor& numbers, Tensor& out) {
  const std::span<const int32_t> rows = Checked(numbers, out.rows(), x);
  RETORT_CHECK(x.cols() == out.cols());
  for (int64_t i = 0; i < x.rows(); ++i) {
    for (int64_t c = 0; c < x.cols(); ++c) {
      out.data<double>()[rows[static_cast<size_t>(i)] * x.cols() + c] =
          x.data<double>()[i * x.cols() + c];
    }
  }
}

void ReferenceBackend::PutColumns(const Tensor& x, const Tensor& columns, Tensor& out) {
  RETORT_CHECK(x.rows() == out.rows() && x.cols() == columns.elements());
  for (int64_t t = 0; t < x.rows(); ++t) {
    for (int64_t i = 0; i < x.cols(); ++i) {
      const int32_t c = columns.data<int32_t>()[i];
      RETORT_CHECK(c >= 0 && c < out.cols(), "column ", c, " of ", out.cols());
      out.data<double>()[t * out.cols() + c] = x.data<double>()[t * x.cols() + i];
    }
  }
}

void ReferenceBackend::TakeColumns(Tensor& y, const Tensor& columns, Tensor& x) {
  RETORT_CHECK(x.rows() == y.rows() && x.cols() == columns.elements());
  for (int64_t t = 0; t < x.rows(); ++t) {
    for (int64_t i = 0; i < x.cols(); ++i) {
      const int32_t c = columns.data<int32_t>()[i];
      RETORT_CHECK(c >= 0 && c < y.cols(), "column ", c, " of ", y.cols());
      double& from = y.data<double>()[t * y.cols() + c];
      x.data<double>()[t * x.cols() + i] = from;
      from = 0;
    }
  }
}

void ReferenceBackend::CopyColumns(const Tensor& x, int64_t begin, Tensor& y) {
  CheckColumns(x, begin, y);
  for (int64_t t = 0; t < y.rows(); ++t) {
    for (int64_t c = 0; c < y.cols(); ++c) {
      y.data<double>()[t * y.cols() + c] = x.data<double>()[t * x.cols() + begin + c];
    }
  }
}

void ReferenceBackend::AddColumns(const Tensor& dy, int64_t begin, Tensor& dx) {
  CheckColumns(dx, begin, dy);
  for (int64_t t = 0; t < dy.rows(); ++t) {
    for (int64_t c = 0; c < dy.cols(); ++c) {
      dx.data<double>()[t * dx.cols() + begin + c] += dy.data<double>()[t * dy.cols() + c];
    }
  }
}

void ReferenceBackend::StoreRows(const Tensor& x, const Tensor& numbers, Tensor& pages) {
  const Shape& shape = pages.shape();
  RETORT_CHECK(shape.rank() == 4 && x.cols() == shape[1] * shape[3], x.shape().text(), " into ",
               shape.text());
  const std::span<const int32_t> rows = Checked(numbers, shape[0] * shape[2], x);
  for (int64_t i = 0; i < x.elements(); ++i) {
    const double value = x.data<double>()[i];
    const int64_t row = rows[static_cast<size_t>(i / x.cols())], head = i % x.cols() / shape[3];
    const int64_t page = row / shape[2], in_page = row % shape[2];
    const int64_t to = ((page * shape[1] + head) * shape[2] + in_page) * shape[3] + i % shape[3];
    switch (pages.dtype()) {
      case DType::kF64:
        pages.data<double>()[to] = value;
        break;
      case DType::kF32:
        pages.data<float>()[to] = static_cast<float>(value);
        break;
      case DType::kF16:
        pages.data<F16>()[to] = ToF16(static_cast<float>(value));
        break;
      case DType::kBF16:
        pages.data<BF16>()[to] = ToBF16(static_cast<float>(value));
        break;
      default:
        RETORT_CHECK(false, "pages of ", NameOf(pages.dtype()));
    }
  }
}

}  // namespace retort
