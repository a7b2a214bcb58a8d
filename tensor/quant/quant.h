// SPDX-License-Identifier: Apache-2.0
// Conversion of weights of all formats to floats and back, using the table in
// tensor/quant/format.h.
//
// Encoded bytes of ggml's block formats equal those of llama.cpp's `llama-quantize --pure`; those
// of nf4 and fp4 equal bitsandbytes' on a CPU.
#pragma once

#include <cstdint>
#include <span>

#include "base/threads.h"
#include "tensor/weight.h"

namespace retort {

// Decodes values [begin, begin + count) of row `row` into out[0, count). begin and count need not
// be multiples of a block. Thread-safe.
void DecodeRow(const Weight& w, int64_t row, int64_t begin, int64_t count, float* out);
// The same, with values rounded to bf16.
void DecodeRow(const Weight& w, int64_t row, int64_t begin, int64_t count, BF16* out);

// Encodes one row of floats into `out` (RowBytes(format, count) bytes). count is a multiple of the
// block size; the format must have `encode`. `importance`: as BlockFormat::encode takes it.
void EncodeRow(WeightFormat format, const float* row, int64_t count, std::byte* out,
               const float* importance = nullptr);

// A copy of `source` in another format, allocated from `memory`. Converted in parallel, a few rows
// at a time, so that the whole matrix is never held in f32. `double_quant` applies to NF4 and FP4,
// whose blocks cover the row-major flattened matrix. The bytes do not depend on the number of
// threads.
Weight Requantised(const Weight& source, WeightFormat format, bool double_quant, Memory& memory,
                   ThreadPool& pool);

// The 16 values of a format of 4 bits, nf4 or fp4.
std::span<const float, 16> FourBitValues(WeightFormat format);
// The maxima of its blocks [first, first + out.size()).
void BlockMaxima(const Nf4Scales& scales, int64_t first, std::span<float> out);

}  // namespace retort
