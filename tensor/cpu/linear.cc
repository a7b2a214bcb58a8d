// SPDX-License-Identifier: Apache-2.0
// Products of activations with weights in any format.
#include <algorithm>
#include <array>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/int8_codes.h"
#include "tensor/cpu/int8_dots.h"
#include "tensor/cpu/int8_stream.h"
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

}  // namespace

void CpuBackend::LinearForward(const Tensor& x, const PreparedWeight& w, Tensor& y) {
  LinearProduct product{&w, y, {}};
  LinearForwards(x, {&product, 1});
}

void CpuBackend::LinearForwards(const Tensor& x, std::span<LinearProduct> products) {
  RETORT_CHECK(!products.empty() && products.size() <= kMostProducts, products.size(), " products");
  std::array<WeightProduct, kMostProducts> all;
  for (size_t i = 0; i < products.size(); ++i) {
    const LinearProduct& p = products[i];
    const CpuWeight& w = p.w->as<CpuWeight>();
    CheckShapes("product", x, w.weight, p.y, w.weight.cols(), w.weight.rows());
    all[i] = {&w.weight, p.y, p.adapter, w.arithmetic};
  }
  Forwards(x, std::span(all).first(products.size()));
}

void CpuBackend::Forwards(const Tensor& x, std::span<WeightProduct> products) {
  const float* in = x.data<float>();
  const int64_t rows = x.rows();
  // For each run of consecutive products with the same arithmetic.
  while (!products.empty()) {
    const Arithmetic arithmetic = products[0].arithmetic;
    size_t count = 1;
    while (count < products.size() && products[count].arithmetic == arithmetic) ++count;
    const auto same = products.first(count);
    products = products.subspan(count);
    const bool many = rows > kVectorRows && !(arithmetic.steady && strips_);
    const bool tiles = many && arithmetic.super && HasCodeTiles(isa_);
    if (!arithmetic.int8 && many && !tiles) {
      PanelForwards(in, rows, same);
      continue;
    }
    if (tiles) {
      CodeTilesForward(pool_, *memory_, isa_, in, rows, same);
    } else if (arithmetic.int8) {
      Int8Forward(pool_, *memory_, isa_, in, rows, same);
    } else if (arithmetic.super) {
      SuperForward(pool_, *memory_, isa_, in, rows, same);
    } else {
      VectorForward(pool_, isa_, in, rows, same);
    }
    AddAdapters(same);
  }
}

void CpuBackend::FeedForward(Activation activation, const Tensor& x, const PreparedWeight& gate,
                             const PreparedWeight& up, const PreparedWeight& down, Tensor& y) {
  const CpuWeight &g = gate.as<CpuWeight>(), &u = up.as<CpuWeight>(), &d = down.as<CpuWeight>();
  CheckShapes("feed-forward", x, g.weight, y, gate.cols(), down.rows());
  RETORT_CHECK(up.rows() == gate.rows() && up.cols() == gate.cols() && down.cols() == gate.rows(),
               "feed-forward of ", gate.rows(), ", ", up.rows(), " and ", down.cols());
  const FeedForwardWeights w{g.weight, u.weight, d.weight};
  const Arithmetic& how = g.arithmetic;
  if (how.int8 && how == u.arithmetic && how == d.arithmetic &&
      StreamsFeedForward(isa_, w, x.rows(), how.wide)) {
    return StreamFeedForward(pool_, *memory_, isa_, activation, x.data<float>(), x.rows(), w,
                             how.wide, y);
  }
  Backend::FeedForward(activation, x, gate, up, down, y);
}

// y += u b^T, u = scale * input a^T. For kernels that cannot include the adapters in the product.
void CpuBackend::AddAdapters(std::span<WeightProduct> products) {
  for (WeightProduct& p : products) {
    if (!p.adapter.a) continue;
    const Weight a = AsWeight(p.adapter.a), b = AsWeight(p.adapter.b);
    Tensor change = New(p.y.shape());
    const Arithmetic how{.bf16 = p.arithmetic.bf16,
                         .steady = p.arithmetic.steady || p.w->layout() == WeightLayout::kStrips};
    CheckShapes("adapter", p.adapter.input, a, p.adapter.u, a.cols(), a.rows());
    CheckShapes("adapter", p.adapter.u, b, p.y, b.cols(), b.rows());
    WeightProduct first{&a, p.adapter.u, {}, how}, second{&b, change, {}, how};
    Forwards(p.adapter.input, {&first, 1});
    Scale(p.adapter.u, p.adapter.scale);
    Forwards(p.adapter.u, {&second, 1});
    Accumulate(change, p.y);
  }
}

void CpuBackend::AddAdapter(const PreparedWeight& prepared, AdapterProduct& adapter, Tensor& y) {
  const CpuWeight& w = prepared.as<CpuWeight>();
  WeightProduct product{&w.weight, y, adapter, w.arithmetic};
  AddAdapters({&product, 1});
}

// Two parallel passes: first all u, then all y, with u and b as an extension of the inner
// dimension.
void CpuBackend::PanelForwards(const float* x, int64_t rows, std::span<WeightProduct> products) {
  BlockGemm& gemm = products_->gemm(products[0].arithmetic.bf16);
  const ProductContext context{gemm, pool_, *memory_, isa_};
  const auto transposed = [&](const Weight& w) { return PackTransposed(isa_, gemm.type(), w); };
  std::vector<PanelProduct> inner, outer;
  for (WeightProduct& p : products) {
    outer.push_back({{{x, p.w->cols(), transposed(*p.w)}}, p.w->rows(), p.y.data<float>(), false});
    if (!p.adapter.a) continue;
    const AdapterProduct& adapter = p.adapter;
    float* u = p.adapter.u.data<float>();
    const int64_t rank = adapter.a.rows();
    inner.push_back(
        {{{adapter.input.data<float>(), adapter.a.cols(), transposed(AsWeight(adapter.a))}},
         rank,
         u,
         false});
    outer.back().terms.push_back({u, rank, transposed(AsWeight(adapter.b))});
  }
  if (!inner.empty()) RunPanels(context, rows, inner);
  for (WeightProduct& p : products) {
    if (p.adapter.a) Scale(p.adapter.u, p.adapter.scale);
  }
  RunPanels(context, rows, outer);
}

void CpuBackend::LinearInputGrad(const Tensor& dy, const PreparedWeight& w, Tensor& dx) {
  LinearGradient gradient{&w, dy, {}, {}, {}, {}};
  LinearGrads({&gradient, 1}, &dx, true);
}

// Three parallel passes: all du; dx as one product, in which the dy w and du a of all layers are
// concatenated along the inner dimension; all da and db.
void CpuBackend::LinearGrads(std::span<LinearGradient> layers, Tensor* dx, bool add) {
  if (layers.empty()) return;
  // dx is one sum of a single type: bf16 only if all weights use bf16.
  const bool bf16 = std::ranges::all_of(
      layers, [](const LinearGradient& layer) { return layer.w->as<CpuWeight>().arithmetic.bf16; });
  BlockGemm& gemm = products_->gemm(bf16);
  const ProductContext context{gemm, pool_, *memory_, isa_};
  const auto straight = [&](const Weight& w) { return PackStraight(isa_, gemm.type(), w); };
  const int64_t rows = layers[0].dy.rows(), cols = layers[0].w->cols();
  std::vector<PanelProduct> inner, outer;
  std::vector<TokenSum> sums;
  std::vector<Tensor> du;
  if (dx) outer.push_back({{}, cols, dx->data<float>(), add});
  for (LinearGradient& layer : layers) {
    const Weight& w = layer.w->as<CpuWeight>().weight;
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

void CpuBackend::EmbedRows(const PreparedWeight& prepared, const Tensor& numbers, Tensor& out) {
  const Weight& table = prepared.as<CpuWeight>().weight;
  const int64_t count = numbers.elements();
  const std::span<const int32_t> ids(numbers.data<int32_t>(), static_cast<size_t>(count));
  RETORT_CHECK(out.cols() == table.cols() && out.rows() == count, "embedding of ", count, " ids, ",
               table.cols(), " wide, into ", out.shape().text());
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
