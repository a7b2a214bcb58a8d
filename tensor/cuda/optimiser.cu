// SPDX-License-Identifier: Apache-2.0
// Kernels of the optimiser: the squared norm of a gradient, the clipping factor, and the rules that
// change each value by itself. Bound by memory where tensors are large; those of adapters are so
// small that a kernel takes little more than its launch. What depends on the step alone is computed
// on the host, in double.
#include <cmath>

#include "tensor/cuda/arguments.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/reduce.h"

namespace retort::cuda {
namespace {

constexpr int kSquareThreads = 512;
constexpr int64_t kPiece = 65536;  // values of a block of SumSquares

// sums[piece] = the sum of the piece's squares, or += . Squares of floats are exact in double.
__global__ void SumSquaresKernel(Global<const float> x, int64_t count, bool add,
                                 Global<double> sums) {
  RETORT_SHARED(double, scratch, kMostWarps);
  const int64_t begin = blockIdx.x * kPiece;
  const int64_t end = begin + kPiece < count ? begin + kPiece : count;
  double sum = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kSquareThreads) {
    const double v = static_cast<double>(x[i]);
    sum += v * v;
  }
  sum = BlockSum(sum, scratch);
  if (threadIdx.x != 0) return;
  if (add) sum += sums[blockIdx.x];
  sums[blockIdx.x] = sum;
}

__global__ void ClipFactorKernel(Global<const double> sum_squares, double limit,
                                 Global<float> factor) {
  if (threadIdx.x != 0) return;
  const double squares = sum_squares[0], scale = limit / (sqrt(squares) + 1e-6);
  factor[0] = limit > 0 && scale < 1 ? static_cast<float>(scale) : 1.0f;
}

// The rules compute p minus the sum of both changes: 1 - decay would lose most digits of a small
// decay. A rule changes value i, whose gradient, times the factor, is g.
struct AdamWRule {
  float beta1, beta2, rest1, rest2;  // rest: 1 - beta
  float decay, rate, epsilon;
  Global<float> parameter, m, v;

  __device__ void operator()(int64_t i, float g) const {
    const float first = m[i] * beta1 + g * rest1, second = v[i] * beta2 + g * g * rest2;
    const float p = parameter[i];
    m[i] = first;
    v[i] = second;
    parameter[i] = p - (p * decay + rate * first / (sqrtf(second) + epsilon));
  }
};

struct LionRule {
  float beta1, beta2, rest1, rest2, decay, rate;
  Global<float> parameter, m;

  __device__ void operator()(int64_t i, float g) const {
    const float held = m[i], p = parameter[i], mixed = held * beta1 + g * rest1;
    const float sign = mixed > 0 ? 1.0f : mixed < 0 ? -1.0f : 0.0f;
    m[i] = held * beta2 + g * rest2;
    parameter[i] = p - (p * decay + rate * sign);
  }
};

struct SgdRule {
  float decay, rate, momentum;
  bool held;  // there is a velocity
  Global<float> parameter, velocity;

  __device__ void operator()(int64_t i, float g) const {
    const float p = parameter[i];
    float d = g + p * decay;
    if (held) {
      if (momentum != 0) d += velocity[i] * momentum;
      velocity[i] = d;
    }
    parameter[i] = p - rate * d;
  }
};

template <class Rule>
__global__ void StepKernel(Global<const float> gradient, Global<const float> factor, int64_t count,
                           Rule rule) {
  const int64_t i = ThreadNumber();
  if (i < count) rule(i, gradient[i] * factor[0]);
}

float Rest(float beta) { return static_cast<float>(1 - static_cast<double>(beta)); }

void CheckStep(const Tensor& factor, const Tensor& parameter, const Tensor& gradient) {
  RETORT_CHECK(gradient.elements() == parameter.elements() && factor.elements() == 1,
               gradient.elements(), " gradients of ", parameter.elements(), " values");
}

template <class Rule>
void Step(Queue& queue, const Tensor& gradient, const Tensor& factor, const Rule& rule) {
  Launch(queue, OneEach(gradient.elements()), StepKernel<Rule>, In<float>(gradient),
         In<float>(factor), gradient.elements(), rule);
}

}  // namespace

void CudaBackend::SumSquares(const Tensor& x, Tensor& sum) {
  RETORT_CHECK(sum.elements() == 1, "a sum in ", sum.shape().text());
  const int64_t count = x.elements(), pieces = (count + kPiece - 1) / kPiece;
  const auto square = [&](bool add, const Tensor& sums) {
    Launch(*queue_, {pieces, kSquareThreads}, SumSquaresKernel, In<float>(x), count, add,
           Out<double>(sums));
  };
  if (pieces <= 1) return square(true, sum);
  const Tensor partial = New({pieces}, DType::kF64);
  square(false, partial);
  AddSum(partial, 1, sum);
}

void CudaBackend::ClipFactor(const Tensor& sum_squares, double limit, Tensor& factor) {
  RETORT_CHECK(sum_squares.elements() == 1 && factor.elements() == 1, "a factor of ",
               sum_squares.elements(), " sums");
  Launch(*queue_, {1, kWarp}, ClipFactorKernel, In<double>(sum_squares), limit, Out<float>(factor));
}

void CudaBackend::AdamW(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                        const Tensor& gradient, Tensor& m, Tensor& v) {
  CheckStep(factor, parameter, gradient);
  RETORT_CHECK(m.elements() == parameter.elements() && v.elements() == parameter.elements() &&
                   step.step >= 1,
               "moments of ", parameter.elements(), " values at step ", step.step);
  const double lr = step.lr, t = static_cast<double>(step.step);
  const double correction1 = 1 - std::pow(double{step.beta1}, t);
  const double correction2 = std::sqrt(1 - std::pow(double{step.beta2}, t));
  Step(*queue_, gradient, factor,
       AdamWRule{.beta1 = step.beta1,
                 .beta2 = step.beta2,
                 .rest1 = Rest(step.beta1),
                 .rest2 = Rest(step.beta2),
                 .decay = static_cast<float>(lr * step.weight_decay),
                 .rate = static_cast<float>(lr * correction2 / correction1),
                 .epsilon = static_cast<float>(step.epsilon * correction2),
                 .parameter = Out<float>(parameter),
                 .m = Out<float>(m),
                 .v = Out<float>(v)});
}

void CudaBackend::Lion(const LionStep& step, const Tensor& factor, Tensor& parameter,
                       const Tensor& gradient, Tensor& m) {
  CheckStep(factor, parameter, gradient);
  RETORT_CHECK(m.elements() == parameter.elements(), "moments of ", parameter.elements(),
               " values");
  Step(*queue_, gradient, factor,
       LionRule{.beta1 = step.beta1,
                .beta2 = step.beta2,
                .rest1 = Rest(step.beta1),
                .rest2 = Rest(step.beta2),
                .decay = step.lr * step.weight_decay,
                .rate = step.lr,
                .parameter = Out<float>(parameter),
                .m = Out<float>(m)});
}

void CudaBackend::Sgd(const SgdStep& step, const Tensor& factor, Tensor& parameter,
                      const Tensor& gradient, Tensor& velocity) {
  CheckStep(factor, parameter, gradient);
  RETORT_CHECK(!velocity || velocity.elements() == parameter.elements(), "velocities of ",
               parameter.elements(), " values");
  Step(*queue_, gradient, factor,
       SgdRule{.decay = step.weight_decay,
               .rate = step.lr,
               .momentum = step.first ? 0 : step.momentum,
               .held = static_cast<bool>(velocity),
               .parameter = Out<float>(parameter),
               .velocity = Out<float>(velocity)});
}

}  // namespace retort::cuda
