// SPDX-License-Identifier: Apache-2.0
// Kernels of the optimiser: the squared norm of a gradient, the clipping factor, and the rules that
// change each value by itself.
#include <cmath>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace retort {
namespace {

// Squares of floats are exact in double. The number of running sums is kLanes for every vector
// width, so that the result is the same on every processor.
struct SquaresInDouble {
  static constexpr int kLanes = 32;
  template <int W>
  RETORT_INLINE static void Run(const float* x, int64_t n, double* result) {
    double sums[kLanes] = {};
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      for (int j = 0; j < kLanes; ++j) sums[j] += static_cast<double>(x[i + j]) * x[i + j];
    }
    double total = 0;
    for (; i < n; ++i) total += static_cast<double>(x[i]) * x[i];
    for (int j = 0; j < kLanes; ++j) total += sums[j];
    *result = total;
  }
};

// p (1 - decay) - rate m / (sqrt(v) + epsilon), computed as p minus the sum of both changes: 1 -
// decay would lose most digits of a small decay.
struct AdamWOp {
  float beta1, beta2, rest1, rest2;  // rest: 1 - beta
  float decay, rate, epsilon, grad_scale;
  const float* gradient;
  float *parameter, *m, *v;

  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> g = Load<W>(gradient + i, lanes) * grad_scale;
    const Floats<W> first = Load<W>(m + i, lanes) * beta1 + g * rest1;
    const Floats<W> second = Load<W>(v + i, lanes) * beta2 + g * g * rest2;
    const Floats<W> p = Load<W>(parameter + i, lanes);
    const Floats<W> change = p * decay + rate * first / (Sqrt<W>(second) + epsilon);
    Store<W>(m + i, first, lanes);
    Store<W>(v + i, second, lanes);
    Store<W>(parameter + i, p - change, lanes);
  }
};

struct LionOp {
  float beta1, beta2, rest1, rest2;  // rest: 1 - beta
  float decay, rate, grad_scale;
  const float* gradient;
  float *parameter, *m;

  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> g = Load<W>(gradient + i, lanes) * grad_scale;
    const Floats<W> held = Load<W>(m + i, lanes), p = Load<W>(parameter + i, lanes);
    const Floats<W> mixed = held * beta1 + g * rest1, none{};
    const Floats<W> sign = mixed > 0.0f ? none + 1.0f : mixed < 0.0f ? none - 1.0f : none;
    Store<W>(m + i, held * beta2 + g * rest2, lanes);
    Store<W>(parameter + i, p - (p * decay + rate * sign), lanes);
  }
};

struct SgdOp {
  float decay, rate, momentum, grad_scale;
  const float* gradient;
  float *parameter, *velocity;  // velocity: null without momentum

  template <int W, class Lanes>
  RETORT_INLINE void Step(int64_t i, Lanes lanes) const {
    const Floats<W> p = Load<W>(parameter + i, lanes);
    Floats<W> d = Load<W>(gradient + i, lanes) * grad_scale + p * decay;
    if (velocity) {
      d += Load<W>(velocity + i, lanes) * momentum;
      Store<W>(velocity + i, d, lanes);
    }
    Store<W>(parameter + i, p - rate * d, lanes);
  }
};

}  // namespace

void CpuBackend::SumSquares(const Tensor& x, Tensor& sum) {
  RETORT_CHECK(sum.elements() == 1, "a sum in ", sum.shape().text());
  const int64_t n = x.elements(), pieces = (n + kPieceElements - 1) / kPieceElements;
  Tensor partials = New({pieces}, DType::kF64);
  ForRanges(pool_, n, kPieceElements, [&](int64_t begin, int64_t end) {
    CallSimd<SquaresInDouble>(isa_, x.data<float>() + begin, end - begin,
                              partials.data<double>() + begin / kPieceElements);
  });
  double total = 0;
  for (int64_t p = 0; p < pieces; ++p) total += partials.data<double>()[p];
  *sum.data<double>() += total;
}

void CpuBackend::ClipFactor(const Tensor& sum_squares, double limit, Tensor& factor) {
  RETORT_CHECK(sum_squares.elements() == 1 && factor.elements() == 1);
  const double scale = limit / (std::sqrt(*sum_squares.data<double>()) + 1e-6);
  *factor.data<float>() = limit > 0 && scale < 1 ? static_cast<float>(scale) : 1.0f;
}

void CpuBackend::AdamW(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                       const Tensor& gradient, Tensor& m, Tensor& v) {
  const int64_t n = parameter.elements();
  RETORT_CHECK(gradient.elements() == n && m.elements() == n && v.elements() == n &&
               factor.elements() == 1 && step.step >= 1);
  const double lr = step.lr, beta1 = step.beta1, beta2 = step.beta2;
  const auto t = static_cast<double>(step.step);
  const double correction2 = std::sqrt(1 - std::pow(beta2, t));
  const auto f = [](double value) { return static_cast<float>(value); };
  ForElements(pool_, isa_, n,
              AdamWOp{.beta1 = step.beta1,
                      .beta2 = step.beta2,
                      .rest1 = f(1 - beta1),
                      .rest2 = f(1 - beta2),
                      .decay = f(lr * step.weight_decay),
                      .rate = f(lr * correction2 / (1 - std::pow(beta1, t))),
                      .epsilon = f(step.epsilon * correction2),
                      .grad_scale = *factor.data<float>(),
                      .gradient = gradient.data<float>(),
                      .parameter = parameter.data<float>(),
                      .m = m.data<float>(),
                      .v = v.data<float>()});
}

void CpuBackend::Lion(const LionStep& step, const Tensor& factor, Tensor& parameter,
                      const Tensor& gradient, Tensor& m) {
  const int64_t n = parameter.elements();
  RETORT_CHECK(gradient.elements() == n && m.elements() == n && factor.elements() == 1);
  ForElements(pool_, isa_, n,
              LionOp{.beta1 = step.beta1,
                     .beta2 = step.beta2,
                     .rest1 = static_cast<float>(1 - static_cast<double>(step.beta1)),
                     .rest2 = static_cast<float>(1 - static_cast<double>(step.beta2)),
                     .decay = step.lr * step.weight_decay,
                     .rate = step.lr,
                     .grad_scale = *factor.data<float>(),
                     .gradient = gradient.data<float>(),
                     .parameter = parameter.data<float>(),
                     .m = m.data<float>()});
}

void CpuBackend::Sgd(const SgdStep& step, const Tensor& factor, Tensor& parameter,
                     const Tensor& gradient, Tensor& velocity) {
  const int64_t n = parameter.elements();
  RETORT_CHECK(gradient.elements() == n && (!velocity || velocity.elements() == n) &&
               factor.elements() == 1);
  ForElements(pool_, isa_, n,
              SgdOp{.decay = step.weight_decay,
                    .rate = step.lr,
                    .momentum = step.first ? 0 : step.momentum,
                    .grad_scale = *factor.data<float>(),
                    .gradient = gradient.data<float>(),
                    .parameter = parameter.data<float>(),
                    .velocity = velocity ? velocity.data<float>() : nullptr});
}

}  // namespace retort
