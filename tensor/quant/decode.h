// SPDX-License-Identifier: Apache-2.0
// DecodeRow with a given instruction set. All of them give the same bits: a decoded value is one
// product, correctly rounded.
#pragma once

#include "tensor/cpu/simd.h"
#include "tensor/weight.h"

namespace retort {

void DecodeRow(Isa isa, const Weight& w, int64_t row, int64_t begin, int64_t count, float* out);
void DecodeRow(Isa isa, const Weight& w, int64_t row, int64_t begin, int64_t count, BF16* out);

// Values rounded to nearest even; NaN stays NaN.
void RoundToBF16(Isa isa, const float* values, int64_t count, BF16* out);

}  // namespace retort
