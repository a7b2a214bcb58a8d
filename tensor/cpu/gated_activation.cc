// SPDX-License-Identifier: Apache-2.0
// The gated activations and their gradients. Each is f(z) = z * Share(z) with derivative Slope(z,
// Share(z)).
#include "tensor/cpu/gated_activation.h"

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

// With s = 1 / (1 + exp(-z)): f = z s, f' = s (1 + z (1 - s)).
struct Silu {
  template <int W>
  RETORT_INLINE static Floats<W> Value(Floats<W> z) {
    return z / (1.0f + Exp<W>(-z));
  }
  template <int W>
  RETORT_INLINE static Floats<W> Share(Floats<W> z) {
    return Sigmoid<W>(z);
  }
  template <int W>
  RETORT_INLINE static Floats<W> Slope(Floats<W> z, Floats<W> s) {
    return s * (1.0f + z * (1.0f - s));
  }
};

// f = z Phi(z), f' = Phi(z) + z phi(z), phi(z) = exp(-z^2 / 2) / sqrt(2 pi). Phi(-|z|) is computed
// as erfc(|z| / sqrt(2)) / 2, with a relative error of 1e-6; (1 + erf(z / sqrt(2))) / 2 would
// cancel.
struct Gelu {
  template <int W>
  RETORT_INLINE static Floats<W> Value(Floats<W> z) {
    return z * Share<W>(z);
  }
  template <int W>
  RETORT_INLINE static Floats<W> Share(Floats<W> z) {
    const Floats<W> tail = ScaledErfc<W>(Magnitude<W>(z) * 0.707106781f) * Bell<W>(z) * 0.5f;
    return z < 0.0f ? tail : 1.0f - tail;
  }
  template <int W>
  RETORT_INLINE static Floats<W> Slope(Floats<W> z, Floats<W> share) {
    return share + z * (Bell<W>(z) * 0.398942280f);
  }
  template <int W>
  RETORT_INLINE static Floats<W> Bell(Floats<W> z) {
    return Exp<W>(z * z * -0.5f);
  }
};

// (1 + tanh(u)) / 2 is computed as s = 1 / (1 + exp(-2 u)), without cancellation near tanh = -1:
// f = z s, f' = s (1 + z (1 - s) 2 u'), 2 u' = 2 sqrt(2 / pi) (1 + 3 * 0.044715 z^2).
struct GeluTanh {
  static constexpr float kRoot = 1.59576912f, kCube = 0.044715f;  // 2 sqrt(2 / pi)
  template <int W>
  RETORT_INLINE static Floats<W> Value(Floats<W> z) {
    return z / (1.0f + Exp<W>(Inner<W>(-z)));
  }
  template <int W>
  RETORT_INLINE static Floats<W> Inner(Floats<W> z) {
    return z * (1.0f + z * z * kCube) * kRoot;
  }
  template <int W>
  RETORT_INLINE static Floats<W> Share(Floats<W> z) {
    return Sigmoid<W>(Inner<W>(z));
  }
  // Beyond |z| = 10, s (1 - s) is 0 in f32, and z^3 must not overflow to infinity: 0 * infinity.
  template <int W>
  RETORT_INLINE static Floats<W> Slope(Floats<W> z, Floats<W> s) {
    const Floats<W> inner = (1.0f + z * z * (3 * kCube)) * kRoot;
    const Floats<W> rest = z * (s * (1.0f - s)) * inner;
    return s + (z * z > 100.0f ? Splat<W>(0) : rest);
  }
};

struct Relu2 {
  template <int W>
  RETORT_INLINE static Floats<W> Value(Floats<W> z) {
    return Share<W>(z) * Share<W>(z);
  }
  template <int W>
  RETORT_INLINE static Floats<W> Share(Floats<W> z) {
    return AtLeast<W>(z, Floats<W>{});
  }
  template <int W>
  RETORT_INLINE static Floats<W> Slope(Floats<W>, Floats<W> share) {
    return share * 2.0f;
  }
};

template <class F>
struct GatedOp {
  GatedValues at;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> z = Load<W>(at.gate + i, lanes);
    Store<W>(at.y + i, F::template Value<W>(z) * Load<W>(at.up + i, lanes), lanes);
  }
};

struct GatedGradValues {
  const float *dy, *gate, *up;
  float *dgate, *dup;
};
template <class F>
struct GatedGradOp {
  GatedGradValues at;
  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> z = Load<W>(at.gate + i, lanes), g = Load<W>(at.dy + i, lanes);
    const Floats<W> share = F::template Share<W>(z);
    const Floats<W> slope = F::template Slope<W>(z, share);
    Store<W>(at.dgate + i, g * Load<W>(at.up + i, lanes) * slope, lanes);
    Store<W>(at.dup + i, g * z * share, lanes);
  }
};

// Runs Op<F> over [begin, end), F being the functions of the activation.
template <template <class> class Op, class Values>
void Run(Isa isa, Activation activation, const Values& values, int64_t begin, int64_t end) {
  const auto run = [&](const auto& op) { CallSimd<LanesKernel>(isa, &op, begin, end); };
  switch (activation) {
    case Activation::kSilu:
      return run(Op<Silu>{values});
    case Activation::kGelu:
      return run(Op<Gelu>{values});
    case Activation::kGeluTanh:
      return run(Op<GeluTanh>{values});
    case Activation::kRelu2:
      return run(Op<Relu2>{values});
  }
}

}  // namespace

void ActivateGated(Isa isa, Activation activation, const GatedValues& values, int64_t begin,
                   int64_t end) {
  Run<GatedOp>(isa, activation, values, begin, end);
}

void CpuBackend::GatedActivation(Activation activation, const Tensor& gate, const Tensor& up,
                                 Tensor& y) {
  RETORT_CHECK(gate.elements() == up.elements() && gate.elements() == y.elements());
  const GatedValues values{gate.data<float>(), up.data<float>(), y.data<float>()};
  ForRanges(pool_, y.elements(), kPieceElements, [&](int64_t begin, int64_t end) {
    Run<GatedOp>(isa_, activation, values, begin, end);
  });
}

void CpuBackend::GatedActivationGrad(Activation activation, const Tensor& dy, const Tensor& gate,
                                     const Tensor& up, Tensor& dgate, Tensor& dup) {
  const int64_t n = dy.elements();
  RETORT_CHECK(gate.elements() == n && up.elements() == n && dgate.elements() == n &&
               dup.elements() == n);
  const GatedGradValues values{dy.data<float>(), gate.data<float>(), up.data<float>(),
                               dgate.data<float>(), dup.data<float>()};
  ForRanges(pool_, n, kPieceElements, [&](int64_t begin, int64_t end) {
    Run<GatedGradOp>(isa_, activation, values, begin, end);
  });
}

}  // namespace retort
