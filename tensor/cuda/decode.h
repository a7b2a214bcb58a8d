// SPDX-License-Identifier: Apache-2.0
// Rows of a weight as f32 or bf16 matrices in the device's memory, for products and look-ups.
#pragma once

#include "tensor/cuda/device_weight.h"
#include "tensor/cuda/driver.h"

namespace retort::cuda {

// Rows [first, first + rows) into out [rows, cols], f32 or bf16 (rounded to nearest even).
void DecodeRows(Queue& queue, const DeviceWeight& w, int64_t first, int64_t rows,
                const Tensor& out);

}  // namespace retort::cuda
