// SPDX-License-Identifier: Apache-2.0
// Products of activations with weights in any format.
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/int8_dots.h"
#include "tensor/cpu/int8_stream.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/decode.h"
#include "tensor/quant/strips.h"

namespace retort {
namespace {

void CheckShapes(const char* what, const Tensor& in, const Weight& w, const Tensor& out,
                 int64_t in_cols, int64_t out_cols) {
  RETORT_CHECK(in.cols() == in_cols && out.cols() == out_cols && in.rows() == out.rows(), what,
               ": ", in.shape().text(), " with a weight of ", w.rows(), " x ", w.cols(), " into ",
               out.shape().text());
}

}  // namespace

// Strips are made for byte products of whole vectors; the row kernels serve narrower processors better.
Weight CpuBackend::Resident(const Weight& w) {
  const bool strips = compute_ == Compute::kInt8 && isa_ == Isa::kAvx512 && CpuHasVnni() && HasStrips(w.format()) &&
                      w.layout() == WeightLayout::kRows;
  return strips ? InStrips(w, *memory_, pool_) : Backend::Resident(w);
}

void CpuBackend::LinearForward(const Tensor& x, const Weight& w, Tensor& y) {
  LinearProduct product{&w, y, {}};
  LinearForwards(x, {&product, 1});
}

void CpuBackend::LinearForwards(const Tensor& x, std::span<LinearProduct> products) {
  const auto in_int8 = [&](const LinearProduct& p) {
    return compute_ == Compute::kInt8 && HasStrips(p.w->format());
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
    while (count < products.size() && in_int8(products[count]) == int8 &&
           (!int8 || products[count].precise == products[0].precise)) {
      ++count;
    }
    const auto same = products.first(count);
    products = products.subspan(count);
    if (!int8 && rows > kVectorRows) {
      PanelForwards(in, rows, same);
      continue;
    }
    if (int8) {
      Int8Forward(pool_, *memory_, isa_, in, rows, same);
    } else {
      VectorForward(pool_, isa_, in, rows, same);
    }
    AddAdapters(same);
  }
}

void CpuBackend::FeedForward(Activation activation, const Tensor& x, const Weight& gate, const Weight& up,
                             const Weight& down, bool precise, Tensor& y) {
  CheckShapes("feed-forward", x, gate, y, gate.cols(), down.rows());
  RETORT_CHECK(up.rows() == gate.rows() && up.cols() == gate.cols() && down.cols() == gate.rows(), "feed-forward of ",
               gate.rows(), ", ", up.rows(), " and ", down.cols());
  const FeedForwardWeights w{gate, up, down};
  if (compute_ == Compute::kInt8 && StreamsFeedForward(isa_, w, x.rows(), precise)) {
    return StreamFeedForward(pool_, *memory_, isa_, activation, x.data<float>(), x.rows(), w, precise, y);
  }
  Backend::FeedForward(activation, x, gate, up, down, precise, y);
}

// y += u b^T, u = scale * input a^T, beside products that have no place for them.
void CpuBackend::AddAdapters(std::span<LinearProduct> products) {
  for (LinearProduct& p : products) {
    if (!p.adapter.a) continue;
    const Weight a = AsWeight(p.adapter.a), b = AsWeight(p.adapter.b);
    Tensor change = New(p.y.shape());
    LinearProduct first{&a, p.adapter.u, {}}, second{&b, change, {}};
    LinearForwards(p.adapter.input, {&first, 1});
    Scale(p.adapter.u, p.adapter.scale);
    LinearForwards(p.adapter.u, {&second, 1});
    Accumulate(change, p.y);
  }
}

// Two rounds: all u, then all y, with u and b as more of the depth.
void CpuBackend::PanelForwards(const float* x, int64_t rows, std::span<LinearProduct> products) {
  BlockGemm& gemm = products_->gemm();
  const ProductContext context{gemm, pool_, *memory_, isa_};
  const auto transposed = [&](const Weight& w) { return PackTransposed(isa_, gemm.type(), w); };
  std::vector<PanelProduct> inner, outer;
  for (LinearProduct& p : products) {
    outer.push_back({{{x, p.w->cols(), transposed(*p.w)}}, p.w->rows(), p.y.data<float>(), false});
    if (!p.adapter.a) continue;
    const AdapterProduct& adapter = p.adapter;
    float* u = p.adapter.u.data<float>();
    const int64_t rank = adapter.a.rows();
    inner.push_back({{{adapter.input.data<float>(), adapter.a.cols(),
                       transposed(AsWeight(adapter.a))}}, rank, u, false});
    outer.back().terms.push_back({u, rank, transposed(AsWeight(adapter.b))});
  }
  if (!inner.empty()) RunPanels(context, rows, inner);
  for (LinearProduct& p : products) {
    if (p.adapter.a) Scale(p.adapter.u, p.adapter.scale);
  }
  RunPanels(context, rows, outer);
}

void CpuBackend::LinearInputGrad(const Tensor& dy, const Weight& w, Tensor& dx) {
  LinearGradient gradient{&w, dy, {}, {}, {}, {}};
  LinearGrads({&gradient, 1}, &dx, true);
}

// Three rounds: all du; dx, with every layer's dy w and du a as more of the depth; all da and db.
void CpuBackend::LinearGrads(std::span<LinearGradient> layers, Tensor* dx, bool add) {
  if (layers.empty()) return;
  BlockGemm& gemm = products_->gemm();
  const ProductContext context{gemm, pool_, *memory_, isa_};
  const auto straight = [&](const Weight& w) { return PackStraight(isa_, gemm.type(), w); };
  const int64_t rows = layers[0].dy.rows(), cols = layers[0].w->cols();
  std::vector<PanelProduct> inner, outer;
  std::vector<TokenSum> sums;
  std::vector<Tensor> du;
  if (dx) outer.push_back({{}, cols, dx->data<float>(), add});
  for (LinearGradient& layer : layers) {
    const Weight& w = *layer.w;
    if (dx) CheckShapes("gradient", layer.dy, w, *dx, w.rows(), cols);
    const float* dy = layer.dy.data<float>();
    if (dx) outer[0].terms.push_back({dy, w.rows(), straight(w)});
    const AdapterProduct& adapter = layer.adapter;
    if (!adapter.a) continue;
    const int64_t rank = adapter.a.rows();
    float* out = du.emplace_back(New(adapter.u.shape())).data<float>();
    inner.push_back({{{dy, w.rows(), straight(AsWeight(adapter.b))}}, rank, out, false});
    sums.push_back({layer.dy, adapter.u, layer.db});
    sums.push_back({du.back(), adapter.input, layer.da});
    const PanelTerm through{out, rank, straight(AsWeight(adapter.a))};
    if (layer.dropped) {
      outer.push_back({{through}, cols, layer.dropped.data<float>(), false});
    } else if (dx) {
      outer[0].terms.push_back(through);
    }
  }
  if (!inner.empty()) RunPanels(context, rows, inner);
  size_t next = 0;
  for (const LinearGradient& layer : layers) {
    if (layer.adapter.a) Scale(du[next++], layer.adapter.scale);
  }
  if (!outer.empty()) RunPanels(context, rows, outer);
  if (!sums.empty()) AddTokenSums(sums);
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
