// SPDX-License-Identifier: Apache-2.0
// DecodeRow with a given instruction set. All sets give the same bits: each operation of a format's
// formula is rounded separately (no fused multiply-add).
#pragma once

#include "tensor/cpu/simd.h"
#include "tensor/weight.h"

namespace retort {

void DecodeRow(Isa isa, const Weight& w, int64_t row, int64_t begin, int64_t count, float* out);
void DecodeRow(Isa isa, const Weight& w, int64_t row, int64_t begin, int64_t count, BF16* out);

// Columns [col, col + 64) of rows [first, first + count), out's rows 64 apart; zeros beyond the
// weight's columns. col is a multiple of 64.
void DecodeColumns(Isa isa, const Weight& w, int64_t first, int64_t count, int64_t col, float* out);

// Values rounded to nearest even; NaN stays NaN.
void RoundToBF16(Isa isa, const float* values, int64_t count, BF16* out);

}  // namespace retort
