// SPDX-License-Identifier: Apache-2.0
// What every backend does alike.
#include <algorithm>
#include <cstring>

#include "tensor/backend.h"

namespace retort {

Tensor Backend::Zeros(Shape shape) {
  Tensor x = New(shape);
  Fill(x, 0);
  return x;
}

void Backend::CopyInts(const Tensor& x, std::span<int32_t> out) {
  RETORT_CHECK(std::ssize(out) == x.elements(), out.size(), " integers of ", x.shape().text());
  std::copy_n(x.data<int32_t>(), out.size(), out.begin());
}

Weight Backend::Resident(const Weight& w) {
  constexpr size_t kPiece = 4 << 20;
  const Bytes from = w.bytes();
  auto buffer = memory().AllocateLasting(std::ssize(from));
  pool().For(static_cast<int64_t>((from.size() + kPiece - 1) / kPiece), [&](int64_t i, int) {
    const size_t begin = static_cast<size_t>(i) * kPiece, size = std::min(kPiece, from.size() - begin);
    std::memcpy(buffer->data() + begin, from.data() + begin, size);
  });
  const Bytes view(buffer->data(), from.size());
  return Weight(w.format(), w.rows(), w.cols(), view, std::move(buffer), w.nf4(), w.layout());
}

void Backend::LinearForwards(const Tensor& x, std::span<LinearProduct> products) {
  for (LinearProduct& p : products) {
    LinearForward(x, *p.w, p.y);
    if (!p.adapter.a) continue;
    Gemm(false, true, p.adapter.scale, p.adapter.input, p.adapter.a, 0, p.adapter.u);
    Gemm(false, true, 1, p.adapter.u, p.adapter.b, 1, p.y);
  }
}

void Backend::FeedForward(Activation activation, const Tensor& x, const Weight& gate, const Weight& up,
                          const Weight& down, bool precise, Tensor& y) {
  LinearProduct first[] = {{&gate, New({x.rows(), gate.rows()}), {}, precise}, {&up, New({x.rows(), up.rows()}), {}, precise}};
  LinearForwards(x, first);
  Tensor& h = first[0].y;
  GatedActivation(activation, h, first[1].y, h);
  LinearProduct last{&down, y, {}, precise};
  LinearForwards(h, {&last, 1});
}

void Backend::LinearGrads(std::span<LinearGradient> layers, Tensor* dx, bool add) {
  if (dx && !add) Fill(*dx, 0);
  for (LinearGradient& layer : layers) {
    AdapterProduct& adapter = layer.adapter;
    if (dx) LinearInputGrad(layer.dy, *layer.w, *dx);
    if (!adapter.a) continue;
    Tensor du = New(adapter.u.shape());
    Gemm(false, false, adapter.scale, layer.dy, adapter.b, 0, du);
    Gemm(true, false, 1, layer.dy, adapter.u, 1, layer.db);
    Gemm(true, false, 1, du, adapter.input, 1, layer.da);
    if (layer.dropped) {
      Gemm(false, false, 1, du, adapter.a, 0, layer.dropped);
    } else if (dx) {
      Gemm(false, false, 1, du, adapter.a, 1, *dx);
    }
  }
}

}  // namespace retort
