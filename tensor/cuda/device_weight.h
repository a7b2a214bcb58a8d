// SPDX-License-Identifier: Apache-2.0
// A weight in the device's memory, in its stored format.
#pragma once

#include "tensor/prepared.h"
#include "tensor/tensor.h"
#include "tensor/weight.h"

namespace retort::cuda {

class DeviceWeight final : public PreparedWeight::Data {
 public:
  WeightFormat format = WeightFormat::kF32;
  int64_t rows = 0, cols = 0;
  Tensor bytes;      // u8: blocks in WeightLayout::kRows, or the packed codes of NF4 and FP4
  Nf4Scales scales;  // of NF4 and FP4, in the device's memory
  Tensor map;        // f32 [256]: the dynamic map, if these are double-quantised
  // Products use bf16 operands and f32 sums; otherwise f32 operands.
  bool bf16 = false;
};

}  // namespace retort::cuda
