// SPDX-License-Identifier: Apache-2.0
// Products with weights and dense products. A weight is decoded to panels of some of its rows, in
// the type of the product's operands, and each panel is multiplied by cuBLASLt: bound by
// arithmetic for many tokens. Few tokens read the stored bytes instead (few_rows.h).
#include <algorithm>
#include <optional>

#include "tensor/cuda/arguments.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/decode.h"
#include "tensor/cuda/few_rows.h"
#include "tensor/cuda/reduce.h"

namespace retort::cuda {
namespace {

constexpr int64_t kPanelBytes = int64_t{32} << 20;  // decoded: within the L2 cache of an H200

__global__ void RoundKernel(Global<const float> x, int64_t count, Global<BF16> out) {
  const int64_t i = ThreadNumber();
  if (i < count) out[i] = Narrow<BF16>(x[i]);
}

// norms[r] = |panel[r,:]|, one block a row.
__global__ void RowNormsKernel(Global<const float> panel, int64_t cols, Global<float> norms) {
  RETORT_SHARED(double, scratch, kMostWarps);
  const int64_t row = blockIdx.x;
  double sum = 0;
  for (int64_t c = threadIdx.x; c < cols; c += blockDim.x) {
    const double v = panel[row * cols + c];
    sum += v * v;
  }
  sum = BlockSum<double>(sum, scratch);
  if (threadIdx.x == 0) norms[row] = static_cast<float>(sqrt(sum));
}

void CheckShapes(const char* what, const Tensor& in, const PreparedWeight& w, const Tensor& out,
                 int64_t in_cols, int64_t out_cols) {
  RETORT_CHECK(in.cols() == in_cols && out.cols() == out_cols && in.rows() == out.rows(), what,
               ": ", in.shape().text(), " with a weight of ", w.rows(), " x ", w.cols(), " into ",
               out.shape().text());
}

// A tensor's elements from the i-th on.
const void* Place(const Tensor& x, int64_t i) { return x.address() + i * SizeOf(x.dtype()); }

// x as operands of a product, rounded once for all products that want bf16.
class Operands {
 public:
  Operands(CudaBackend& backend, Queue& queue, const Tensor& x)
      : backend_(backend), queue_(queue), x_(x) {}
  const Tensor& As(DType type) {
    if (type == DType::kF32) return x_;
    if (!rounded_) {
      rounded_ = backend_.New(x_.shape(), DType::kBF16);
      Launch(queue_, OneEach(x_.elements()), RoundKernel, In<float>(x_), x_.elements(),
             Out<BF16>(*rounded_));
    }
    return *rounded_;
  }

 private:
  CudaBackend& backend_;
  Queue& queue_;
  Tensor x_;
  std::optional<Tensor> rounded_;
};

// A row of the weight needs no decoding if it is stored as the product wants it.
bool StoredAs(const DeviceWeight& w, DType type) {
  return (type == DType::kF32 && w.format == WeightFormat::kF32) ||
         (type == DType::kBF16 && w.format == WeightFormat::kBF16);
}

DType OperandType(const DeviceWeight& w) { return w.bf16 ? DType::kBF16 : DType::kF32; }

// call(first row, panel [rows, cols]) for all rows of the weight, decoded to this type.
template <class Call>
void ForDecoded(CudaBackend& backend, Queue& queue, const DeviceWeight& w, DType type,
                const Call& call) {
  const int64_t most = std::max<int64_t>(1, kPanelBytes / (w.cols * SizeOf(type)));
  const int64_t count = std::min(most, w.rows);
  const Tensor panel = backend.New({count, w.cols}, type);
  for (int64_t first = 0; first < w.rows; first += count) {
    const Tensor part = panel.RowRange(0, std::min(count, w.rows - first));
    DecodeRows(queue, w, first, part.rows(), part);
    call(first, part);
  }
}

// call(first row, rows, their values as the product wants them).
template <class Call>
void ForPanels(CudaBackend& backend, Queue& queue, const DeviceWeight& w, DType type,
               const Call& call) {
  if (StoredAs(w, type)) return call(0, w.rows, w.bytes.address());
  ForDecoded(backend, queue, w, type, [&](int64_t first, const Tensor& panel) {
    call(first, panel.rows(), panel.address());
  });
}

}  // namespace

void CudaBackend::LinearForward(const Tensor& x, const PreparedWeight& w, Tensor& y) {
  LinearProduct product{&w, y, {}};
  LinearForwards(x, {&product, 1});
}

void CudaBackend::LinearForwards(const Tensor& x, std::span<LinearProduct> products) {
  Operands operands(*this, *queue_, x);
  for (LinearProduct& p : products) {
    const auto& w = p.w->as<DeviceWeight>();
    CheckShapes("product", x, *p.w, p.y, w.cols, w.rows);
    if (x.rows() <= kFewRows) {
      FewRowsProduct(*queue_, x, w, p.y);
    } else {
      const DType type = OperandType(w);
      const Tensor& in = operands.As(type);
      ForPanels(*this, *queue_, w, type, [&](int64_t first, int64_t rows, const void* panel) {
        blas_->Multiply(*queue_, x.rows(), rows, w.cols, 1, {in.address(), type, w.cols},
                        {panel, type, w.cols, true}, 0, p.y.address() + first * 4, w.rows);
      });
    }
    if (p.adapter.a) AddAdapter(*p.w, p.adapter, p.y);
  }
}

void CudaBackend::LinearInputGrad(const Tensor& dy, const PreparedWeight& prepared, Tensor& dx) {
  const auto& w = prepared.as<DeviceWeight>();
  CheckShapes("gradient of a product", dy, prepared, dx, w.rows, w.cols);
  if (dy.rows() == 0) return;
  const DType type = OperandType(w);
  Operands operands(*this, *queue_, dy);
  const Tensor& in = operands.As(type);
  ForPanels(*this, *queue_, w, type, [&](int64_t first, int64_t rows, const void* panel) {
    blas_->Multiply(*queue_, dy.rows(), w.cols, rows, 1, {Place(in, first), type, w.rows},
                    {panel, type, w.cols}, 1, dx.address(), w.cols);
  });
}

void CudaBackend::AdaptedNorms(const PreparedWeight& prepared, const Tensor& a, const Tensor& b,
                               float scale, Tensor& norms) {
  const auto& w = prepared.as<DeviceWeight>();
  RETORT_CHECK(a.cols() == w.cols && b.rows() == w.rows && a.rows() == b.cols() &&
                   norms.elements() == w.rows,
               "norms of a weight of ", w.rows, " x ", w.cols, " with ", a.shape().text(), ", ",
               b.shape().text());
  const int64_t rank = a.rows();
  ForDecoded(*this, *queue_, w, DType::kF32, [&](int64_t first, const Tensor& panel) {
    blas_->Multiply(*queue_, panel.rows(), w.cols, rank, scale,
                    {Place(b, first * rank), DType::kF32, rank}, {a.address(), DType::kF32, w.cols},
                    1, panel.address(), w.cols);
    Launch(*queue_, RowEach(panel.rows()), RowNormsKernel, In<float>(panel), w.cols,
           Out<float>(norms) + first);
  });
}

void CudaBackend::Gemm(bool transpose_a, bool transpose_b, float alpha, const Tensor& a,
                       const Tensor& b, float beta, Tensor& c) {
  const int64_t m = transpose_a ? a.cols() : a.rows(), k = transpose_a ? a.rows() : a.cols();
  const int64_t n = transpose_b ? b.rows() : b.cols();
  RETORT_CHECK((transpose_b ? b.cols() : b.rows()) == k && c.rows() == m && c.cols() == n,
               a.shape().text(), " times ", b.shape().text(), " into ", c.shape().text());
  if (k == 0) return beta == 0 ? Fill(c, 0) : Scale(c, beta);
  if (m == 0 || n == 0) return;
  blas_->Multiply(*queue_, m, n, k, alpha, {a.address(), DType::kF32, a.cols(), transpose_a},
                  {b.address(), DType::kF32, b.cols(), transpose_b}, beta, c.address(), n);
}

}  // namespace retort::cuda
