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
  const Tensor &dout, &q, &keys, &values, &out, &log_sum;
  Tensor &dq, &dkeys, &dvalues;
};

// Runs with few queries, in f32 for every Compute: they are bound by reading keys and values.
void DecodeForward(Queue& queue, Memory& memory, const AttentionView& view, const CudaPlan& plan,
                   const ForwardTensors& x);

}  // namespace retort::cuda
