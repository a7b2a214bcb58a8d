// SPDX-License-Identifier: Apache-2.0
// Elementwise kernels. Conventions as in tensor/backend.h.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace retort {

// Defines a dropout mask m: element (t, c) is kept iff word c % 4 of
// Philox({row_token[t], c / 4, 0, 0}, MakeKey(seed, RandomUse::kDropout, row_index[t]))
// is >= rate * 2^32. Kept elements are scaled by 1 / (1 - rate).
struct DropoutMask {
  float rate = 0;
  uint64_t seed = 0;  // mixed from the run's seed, the step and the place in the model
  Tensor row_index;   // i64 [T]: the row's index in the data order
  Tensor row_token;   // i32 [T]: the token's index in its row
};

// Uniform noise: that of element (t, c) is amplitude[t] * (u / 2^31 - 1) with u = word c % 4 of
// Philox({row_token[t], c / 4, 0, 0}, MakeKey(seed, RandomUse::kNoise, row_index[t])).
struct UniformNoise {
  uint64_t seed = 0;
  Tensor row_index, row_token;  // as in DropoutMask
  Tensor amplitude;             // f32 [T]
};

// The activation f of a gated feed-forward layer, y = f(gate) * up.
enum class Activation : uint8_t {
  kSilu,      // z / (1 + exp(-z))
  kGelu,      // z Phi(z), Phi(z) = (1 + erf(z / sqrt(2))) / 2
  kGeluTanh,  // z (1 + tanh(u)) / 2, u = sqrt(2 / pi) (z + 0.044715 z^3): Hugging Face's
              // gelu_pytorch_tanh
  kRelu2,     // max(z, 0)^2
};

class ElementwiseKernels {
 public:
  virtual void Fill(Tensor& x, float value) = 0;                        // x of any real type
  virtual void Add(const Tensor& a, const Tensor& b, Tensor& out) = 0;  // out = a + b
  virtual void Accumulate(const Tensor& x, Tensor& sum) = 0;            // sum += x
  virtual void Scale(Tensor& x, float factor) = 0;                      // x *= factor
  virtual void AddBias(Tensor& y, const Tensor& bias) = 0;              // y[t,:] += bias[:]
  virtual void BiasGrad(const Tensor& dy, Tensor& dbias) = 0;           // dbias[c] += sum_t dy[t,c]
  // y = x * m / (1 - rate)
  virtual void Dropout(const Tensor& x, const DropoutMask& mask, Tensor& y) = 0;
  // dx += dy * m / (1 - rate)
  virtual void DropoutGrad(const Tensor& dy, const DropoutMask& mask, Tensor& dx) = 0;
  virtual void AddNoise(Tensor& x, const UniformNoise& noise) = 0;  // x += noise
  // gate, up, y [T,F]: y = f(gate) * up; y may be gate or up
  virtual void GatedActivation(Activation activation, const Tensor& gate, const Tensor& up,
                               Tensor& y) = 0;
  // dgate = dy * up * f'(gate), dup = dy * f(gate): written, not added
  virtual void GatedActivationGrad(Activation activation, const Tensor& dy, const Tensor& gate,
                                   const Tensor& up, Tensor& dgate, Tensor& dup) = 0;
  // x = cap * tanh(x / cap), cap > 0
  virtual void SoftCap(Tensor& x, float cap) = 0;
  // capped: the output of SoftCap. dx *= 1 - (capped / cap)^2
  virtual void SoftCapGrad(const Tensor& capped, float cap, Tensor& dx) = 0;

 protected:
  ~ElementwiseKernels() = default;
};

}  // namespace retort
