// SPDX-License-Identifier: Apache-2.0
// Products of a few activations with a weight as it is stored, as decoding tokens needs them.
#pragma once

#include "tensor/cuda/device_weight.h"
#include "tensor/cuda/driver.h"

namespace retort::cuda {

// With more rows the tensor cores pay for decoding the weight to a panel first.
inline constexpr int64_t kFewRows = 16;

// y [T,out] = x [T,in] w^T, T <= kFewRows. The result of a row has the same bits whatever T is.
void FewRowsProduct(Queue& queue, const Tensor& x, const DeviceWeight& w, const Tensor& y);

}  // namespace retort::cuda
