// SPDX-License-Identifier: Apache-2.0
// Activations of gated feed-forward layers, and soft caps. Bound by memory.
#include "tensor/cuda/arguments.h"
#include "tensor/cuda/cuda_backend.h"

namespace retort::cuda {
namespace {

constexpr float kRootOfHalf = 0.70710678f;     // sqrt(1 / 2)
constexpr float kDensityAtZero = 0.39894228f;  // 1 / sqrt(2 pi)
constexpr float kGeluRoot = 0.79788456f;       // sqrt(2 / pi)
constexpr float kGeluCube = 0.044715f;

struct ValueAndSlope {
  float value, slope;
};

template <Activation kActivation>
__device__ ValueAndSlope Activate(float z) {
  if constexpr (kActivation == Activation::kSilu) {
    const float s = 1 / (1 + expf(-z));
    return {z * s, s * (1 + z * (1 - s))};
  } else if constexpr (kActivation == Activation::kGelu) {
    const float cdf = erfcf(-z * kRootOfHalf) / 2;
    return {z * cdf, cdf + z * kDensityAtZero * expf(-z * z / 2)};
  } else if constexpr (kActivation == Activation::kGeluTanh) {
    // (1 + tanh(u)) / 2 as a sigmoid, which keeps its digits where tanh(u) is near -1.
    const float s = 1 / (1 + expf(-2 * kGeluRoot * (z + kGeluCube * z * z * z)));
    return {z * s, s + 2 * z * s * (1 - s) * kGeluRoot * (1 + 3 * kGeluCube * z * z)};
  } else {
    return z < 0 ? ValueAndSlope{0, 0} : ValueAndSlope{z * z, 2 * z};  // NaN stays
  }
}

template <Activation kActivation>
__global__ void GatedKernel(Global<const float> gate, Global<const float> up, int64_t count,
                            Global<float> y) {
  const int64_t i = ThreadNumber();
  if (i < count) y[i] = Activate<kActivation>(gate[i]).value * up[i];
}

template <Activation kActivation>
__global__ void GatedGradKernel(Global<const float> dy, Global<const float> gate,
                                Global<const float> up, int64_t count, Global<float> dgate,
                                Global<float> dup) {
  const int64_t i = ThreadNumber();
  if (i >= count) return;
  const float g = dy[i], other = up[i];
  const ValueAndSlope f = Activate<kActivation>(gate[i]);
  dgate[i] = g * other * f.slope;
  dup[i] = g * f.value;
}

__global__ void SoftCapKernel(Global<float> x, int64_t count, float cap) {
  const int64_t i = ThreadNumber();
  if (i < count) x[i] = cap * tanhf(x[i] / cap);
}

__global__ void SoftCapGradKernel(Global<const float> capped, float cap, int64_t count,
                                  Global<float> dx) {
  const int64_t i = ThreadNumber();
  if (i >= count) return;
  const float v = capped[i];
  dx[i] *= (cap - v) * (cap + v) / (cap * cap);  // exact where v is near the cap
}

// call with the activation as a constant.
template <class Call>
void WithActivation(Activation activation, const Call& call) {
  switch (activation) {
    case Activation::kSilu:
      return call.template operator()<Activation::kSilu>();
    case Activation::kGelu:
      return call.template operator()<Activation::kGelu>();
    case Activation::kGeluTanh:
      return call.template operator()<Activation::kGeluTanh>();
    case Activation::kRelu2:
      return call.template operator()<Activation::kRelu2>();
  }
  RETORT_CHECK(false, "activation ", static_cast<int>(activation));
}

}  // namespace

void CudaBackend::GatedActivation(Activation activation, const Tensor& gate, const Tensor& up,
                                  Tensor& y) {
  RETORT_CHECK(gate.shape() == up.shape() && gate.shape() == y.shape(), gate.shape().text(), ", ",
               up.shape().text(), " into ", y.shape().text());
  WithActivation(activation, [&]<Activation kActivation>() {
    Launch(*queue_, OneEach(y.elements()), GatedKernel<kActivation>, In<float>(gate), In<float>(up),
           y.elements(), Out<float>(y));
  });
}

void CudaBackend::GatedActivationGrad(Activation activation, const Tensor& dy, const Tensor& gate,
                                      const Tensor& up, Tensor& dgate, Tensor& dup) {
  RETORT_CHECK(gate.shape() == dy.shape() && up.shape() == dy.shape() &&
                   dgate.shape() == dy.shape() && dup.shape() == dy.shape(),
               "gated activation's gradient of ", dy.shape().text());
  WithActivation(activation, [&]<Activation kActivation>() {
    Launch(*queue_, OneEach(dy.elements()), GatedGradKernel<kActivation>, In<float>(dy),
           In<float>(gate), In<float>(up), dy.elements(), Out<float>(dgate), Out<float>(dup));
  });
}

void CudaBackend::SoftCap(Tensor& x, float cap) {
  RETORT_CHECK(cap > 0, "soft cap ", cap);
  Launch(*queue_, OneEach(x.elements()), SoftCapKernel, Out<float>(x), x.elements(), cap);
}

void CudaBackend::SoftCapGrad(const Tensor& capped, float cap, Tensor& dx) {
  RETORT_CHECK(cap > 0 && capped.elements() == dx.elements(), "soft cap ", cap, " of ",
               capped.shape().text(), ", ", dx.shape().text());
  Launch(*queue_, OneEach(dx.elements()), SoftCapGradKernel, In<float>(capped), cap, dx.elements(),
         Out<float>(dx));
}

}  // namespace retort::cuda
