// SPDX-License-Identifier: Apache-2.0
// Products of activations with weights in any format.
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/decode.h"

namespace retort {
namespace {

void CheckShapes(const char* what, const Tensor& in, const Weight& w, const Tensor& out,
                 int64_t in_cols, int64_t out_cols) {
  RETORT_CHECK(in.cols() == in_cols && out.cols() == out_cols && in.rows() == out.rows(), what,
               ": ", in.shape().text(), " with a weight of ", w.rows(), " x ", w.cols(), " into ",
               out.shape().text());
}

bool HasInt8Product(WeightFormat format) {
  return format == WeightFormat::kQ8_0 || format == WeightFormat::kQ4_0;
}

}  // namespace

void CpuBackend::LinearForward(const Tensor& x, const Weight& w, Tensor& y) {
  LinearProduct product{&w, y};
  LinearForwards(x, {&product, 1});
}

void CpuBackend::LinearForwards(const Tensor& x, std::span<LinearProduct> products) {
  const auto in_int8 = [&](const LinearProduct& p) {
    return compute_ == Compute::kInt8 && HasInt8Product(p.w->format());
  };
  for (const LinearProduct& p : products) {
    CheckShapes("product", x, *p.w, p.y, p.w->cols(), p.w->rows());
  }
  const float* in = x.data<float>();
  const int64_t rows = x.rows();
  // Runs of products that go the same way.
  while (!products.empty()) {
    const bool int8 = in_int8(products[0]);
    size_t count = 1;
    while (count < products.size() && in_int8(products[count]) == int8) ++count;
    const auto same = products.first(count);
    products = products.subspan(count);
    if (int8) {
      Int8Forward(pool_, *memory_, isa_, in, rows, same);
    } else if (rows <= kVectorRows) {
      VectorForward(pool_, isa_, in, rows, same);
    } else {
      for (LinearProduct& p : same) PanelForward(in, rows, *p.w, p.y.data<float>());
    }
  }
}

void CpuBackend::PanelForward(const float* x, int64_t rows, const Weight& w, float* y) {
  BlockGemm& gemm = products_->gemm();
  const auto pack = [&](int64_t panel, int64_t, int64_t first, int64_t count, int64_t padded,
                        std::byte* scratch, std::byte* to) {
    PackTransposed(isa_, gemm.type(), w, panel, first, count, padded, scratch, to);
  };
  RunPanels({gemm, pool_, *memory_, isa_}, {.a = x, .rows = rows, .depth = w.cols(),
                                            .cols = w.rows(), .out = y, .add = false,
                                            .pack = pack});
}

void CpuBackend::LinearInputGrad(const Tensor& dy, const Weight& w, Tensor& dx) {
  CheckShapes("gradient", dy, w, dx, w.rows(), w.cols());
  BlockGemm& gemm = products_->gemm();
  const auto pack = [&](int64_t panel, int64_t panels, int64_t first, int64_t count,
                        int64_t padded, std::byte* scratch, std::byte* to) {
    PackStraight(isa_, gemm.type(), w, panel, panels, first, count, padded, scratch, to);
  };
  // Wider pieces decode longer runs of a row; but there must be pieces for several threads.
  const int64_t panels = CeilDiv(w.cols(), kPanel);
  const int64_t grain = panels >= 32 ? 4 : panels >= 16 ? 2 : 1;
  RunPanels({gemm, pool_, *memory_, isa_},
            {.a = dy.data<float>(), .rows = dy.rows(), .depth = w.rows(), .cols = w.cols(),
             .out = dx.data<float>(), .add = true, .pack = pack, .panels_per_piece = grain});
}

void CpuBackend::EmbedRows(const Weight& table, std::span<const int32_t> ids, Tensor& out) {
  const auto count = static_cast<int64_t>(ids.size());
  RETORT_CHECK(out.cols() == table.cols() && out.rows() == count, "embedding of ", count,
               " ids, ", table.cols(), " wide, into ", out.shape().text());
  for (const int32_t id : ids) {
    RETORT_CHECK(id >= 0 && id < table.rows(), "id ", id, " of ", table.rows());
  }
  float* to = out.data<float>();
  const double operations = 8.0 * static_cast<double>(count * table.cols());
  ForPieces(pool_, operations, count, [&](int64_t i, int) {
    DecodeRow(isa_, table, ids[static_cast<size_t>(i)], 0, table.cols(), to + i * table.cols());
  });
}

}  // namespace retort
