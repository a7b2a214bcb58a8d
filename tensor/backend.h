// SPDX-License-Identifier: Apache-2.0
// A device and its kernels, as one interface. Implementations: tensor/cpu (f32, fast), tensor/cuda,
// and tensor/reference (f64, plain loops), which the others are tested against. Callers do not
// depend on the implementation. Kernels are declared by topic in tensor/kernels/; memory, copies
// and events in tensor/device.h.
//
// Conventions of all kernels. T tokens, C model width, H query heads, K key/value heads, D a head's
// width, F feed-forward width, V vocabulary, R adapter rank (docs/notation.md). Activations,
// gradients, gains and biases have the backend's activation type A (f32; the reference's f64) and
// are row-major and contiguous. Indices are tensors of i32, losses and sums tensors of f64. Outputs
// are allocated by the caller. "+=" in a contract means that the kernel adds to the output.
// Mismatched sizes are bugs (RETORT_CHECK). Results do not depend on the number of threads.
// Not thread-safe: one caller at a time.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "tensor/device.h"
#include "tensor/kernels/attention.h"
#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/experts.h"
#include "tensor/kernels/losses.h"
#include "tensor/kernels/norms.h"
#include "tensor/kernels/optimiser.h"
#include "tensor/kernels/products.h"
#include "tensor/kernels/rotary.h"
#include "tensor/kernels/rows.h"

namespace retort {

class Backend : public Device,
                public ElementwiseKernels,
                public RowKernels,
                public ExpertKernels,
                public NormKernels,
                public RotaryKernels,
                public ProductKernels,
                public AttentionKernels,
                public LossKernels,
                public OptimiserKernels {
 public:
  virtual DType activation_type() const = 0;

  Tensor New(Shape shape) { return Tensor::Make(memory(), shape, activation_type()); }
  Tensor New(Shape shape, DType type) { return Tensor::Make(memory(), shape, type); }
  Tensor Zeros(Shape shape);
  // Copy host floats to an activation tensor and back. The copies to the host wait until the values
  // have arrived.
  Tensor FromFloats(std::span<const float> values, Shape shape);
  void CopyFloats(const Tensor& x, std::span<float> out);
  std::vector<float> ToFloats(const Tensor& x);
  // The same in double. Only the reference backend keeps doubles exactly. ToDoubles accepts any
  // real type.
  Tensor FromDoubles(std::span<const double> values, Shape shape);
  std::vector<double> ToDoubles(const Tensor& x);

  // Default implementations, composed of single products and elementwise kernels.
  void LinearForwards(const Tensor& x, std::span<LinearProduct> products) override;
  void AddAdapter(const PreparedWeight& w, AdapterProduct& adapter, Tensor& y) override;
  void FeedForward(Activation activation, const Tensor& x, const PreparedWeight& gate,
                   const PreparedWeight& up, const PreparedWeight& down, Tensor& y) override;
  void LinearGrads(std::span<LinearGradient> layers, Tensor* dx, bool add) override;
};

struct BackendOptions {
  std::string device = "auto";  // auto | cpu | cuda[:N]
  int threads = 0;              // 0: all processors that this process may use
  Compute compute = Compute::kAuto;
  // Allocates as the device would and computes nothing: to count the memory of work that is not
  // done. Results are zeros or undefined.
  bool counting = false;
};

// Throws Error{kInput} for an unknown device, Error{kFailure} ("built without CUDA") for one that
// is not available.
std::unique_ptr<Backend> MakeBackend(const BackendOptions& options);
// threads: 0: all processors, as in BackendOptions; so for CUDA, whose threads are the host's.
std::unique_ptr<Backend> MakeCpuBackend(int threads, Compute compute,
                                        PoolWork work = PoolWork::kDone);
std::unique_ptr<Backend> MakeReferenceBackend();  // f64, one thread, plain loops
std::unique_ptr<Backend> MakeCudaBackend(int index, int threads, Compute compute);

// Whether the processor multiplies bf16 natively (AVX512_BF16 or AMX).
bool CpuHasBf16();
// Whether native bf16 is also faster than f32, which decides Compute::kAuto: true with AMX and on
// AMD processors. On Intel's AVX512_BF16 without AMX, two bf16 products take as long as four f32
// products.
bool CpuPrefersBf16();

}  // namespace retort
