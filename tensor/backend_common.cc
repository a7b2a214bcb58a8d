// SPDX-License-Identifier: Apache-2.0
// Functions that all backends share.
#include <algorithm>

#include "tensor/backend.h"

namespace retort {
namespace {

double ToDouble(float v) { return v; }
double ToDouble(F16 v) { return ToFloat(v); }
double ToDouble(BF16 v) { return ToFloat(v); }

template <class T>
std::vector<double> Widened(Device& device, const Tensor& x) {
  const std::vector<T> values = device.ToHost<T>(x);
  std::vector<double> out;
  out.reserve(values.size());
  for (const T v : values) out.push_back(ToDouble(v));
  return out;
}

template <class To, class From>
Tensor UploadAs(Device& device, std::span<const From> values, Shape shape) {
  const std::vector<To> converted(values.begin(), values.end());
  return device.Upload(std::span(converted), shape);
}

}  // namespace

void CheckColumns(const Tensor& whole, int64_t begin, const Tensor& part) {
  RETORT_CHECK(whole.rows() == part.rows() && begin >= 0 && begin + part.cols() <= whole.cols(),
               "columns ", begin, " + ", part.shape().text(), " of ", whole.shape().text());
}

Tensor Backend::Zeros(Shape shape) {
  Tensor x = New(shape);
  Fill(x, 0);
  return x;
}

Tensor Backend::FromFloats(std::span<const float> values, Shape shape) {
  return activation_type() == DType::kF32 ? Upload(values, shape)
                                          : UploadAs<double>(*this, values, shape);
}

Tensor Backend::FromDoubles(std::span<const double> values, Shape shape) {
  return activation_type() == DType::kF64 ? Upload(values, shape)
                                          : UploadAs<float>(*this, values, shape);
}

void Backend::CopyFloats(const Tensor& x, std::span<float> out) {
  RETORT_CHECK(std::ssize(out) == x.elements(), out.size(), " floats of ", x.shape().text());
  if (x.dtype() == DType::kF32) return Wait(Download(x, out));
  std::ranges::copy(ToDoubles(x), out.begin());
}

std::vector<float> Backend::ToFloats(const Tensor& x) {
  std::vector<float> out(static_cast<size_t>(x.elements()));
  CopyFloats(x, out);
  return out;
}

std::vector<double> Backend::ToDoubles(const Tensor& x) {
  switch (x.dtype()) {
    case DType::kF64:
      return ToHost<double>(x);
    case DType::kF32:
      return Widened<float>(*this, x);
    case DType::kF16:
      return Widened<F16>(*this, x);
    case DType::kBF16:
      return Widened<BF16>(*this, x);
    default:
      RETORT_CHECK(false, "a tensor of ", NameOf(x.dtype()), " holds no real numbers");
  }
}

void Backend::LinearForwards(const Tensor& x, std::span<LinearProduct> products) {
  for (LinearProduct& p : products) {
    LinearForward(x, *p.w, p.y);
    if (p.adapter.a) AddAdapter(*p.w, p.adapter, p.y);
  }
}

void Backend::AddAdapter(const PreparedWeight& /*w*/, AdapterProduct& adapter, Tensor& y) {
  Gemm(false, true, adapter.scale, adapter.input, adapter.a, 0, adapter.u);
  Gemm(false, true, 1, adapter.u, adapter.b, 1, y);
}

void Backend::FeedForward(Activation activation, const Tensor& x, const PreparedWeight& gate,
                          const PreparedWeight& up, const PreparedWeight& down, Tensor& y) {
  LinearProduct first[] = {{&gate, New({x.rows(), gate.rows()}), {}},
                           {&up, New({x.rows(), up.rows()}), {}}};
  LinearForwards(x, first);
  Tensor& h = first[0].y;
  GatedActivation(activation, h, first[1].y, h);
  LinearProduct last{&down, y, {}};
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
