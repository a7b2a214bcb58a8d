// SPDX-License-Identifier: Apache-2.0
// The parts of attention: runs of many queries in f32 or on the tensor cores, runs of few queries,
// and the gradient in f32 or on the tensor cores.
#pragma once

#include "tensor/cuda/attention_view.h"
#include "tensor/prepared.h"

namespace retort::cuda {

struct ForwardTensors {
  const Tensor &q, &keys, &values;
  Tensor &out, &log_sum;
};
struct GradTensors {
  const Tensor &dout, &q, &keys, &values, &log_sum;
  const Tensor& deltas;  // [T,H]: rowsum(dout * out)
  Tensor &dq, &dkeys, &dvalues;
};

// Runs with few queries, in f32 for every Compute: they are bound by reading keys and values.
void DecodeForward(Queue& queue, Memory& memory, const AttentionView& view, const CudaPlan& plan,
                   const ForwardTensors& x);

// Whether runs of many queries, and gradients, are computed in bf16 with f32 sums, by the two
// functions below. Keys in f32 pages are not: only a cache that is meant to be exact has them.
bool OnTensorCores(Compute compute, const DeviceFacts& facts, const AttentionShape& shape,
                   const Tensor& keys, const Tensor& values);
void TensorCoreForward(Queue& queue, Memory& memory, const AttentionView& view,
                       const CudaPlan& plan, const ForwardTensors& x);
void TensorCoreGrad(Queue& queue, Memory& memory, const AttentionView& view, const CudaPlan& plan,
                    const GradTensors& x);

// x in bf16: itself, or f32 values rounded.
Tensor Rounded(Queue& queue, Memory& memory, const Tensor& x);

}  // namespace retort::cuda
