// SPDX-License-Identifier: Apache-2.0
// The matrices of a folder whose weights are integers or small floats with scales, as its
// config.json says under quantization_config. Beside other tensors, such a folder holds for each
// matrix X.weight [out, in]
//
//   gptq                X.qweight I32, X.qzeros I32, X.scales, X.g_idx I32: 2, 3, 4 or 8 bits,
//                       along the inputs
//   awq (gemm)          X.qweight I32, X.qzeros I32, X.scales: 4 bits, along the outputs
//   compressed-tensors  X.weight_packed I32, X.weight_scale, X.weight_zero_point, X.weight_g_idx,
//                       X.weight_shape: 2 to 8 bits; or X.weight I8 or F8_E4M3 with X.weight_scale
//   fp8, fbgemm_fp8     X.weight F8_E4M3 with X.weight_scale_inv or X.weight_scale: one, one a row,
//                       or one for each block
//
// A value is (code - zero) * scale, rounded to the type of the scales; to `plain` if that is f32.
// So do the programs that made the folder. How activations would be rounded is not followed.
#pragma once

#include "base/json.h"
#include "formats/tensor_file.h"

namespace retort {

// The table with each such matrix as one tensor, computed when it is loaded. quantization: the
// value of quantization_config, null if there is none. Throws Error{kInput} for a method or a
// setting that is not read, and for tensors that do not fit together, naming them.
TensorTable JoinPacked(TensorTable table, const Json& quantization, WeightFormat plain);

}  // namespace retort
