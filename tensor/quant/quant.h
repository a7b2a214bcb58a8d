// SPDX-License-Identifier: Apache-2.0
// Weights of every format to floats and back, by the table of formats (tensor/quant/format.h).
//
// Encoded bytes of ggml's block formats equal those of llama.cpp's `llama-quantize --pure`; those
// of nf4, away from ties, bitsandbytes'.
#pragma once

#include <cstdint>
#include <span>

#include "base/threads.h"
#include "tensor/weight.h"

namespace retort {

// Decodes values [begin, begin + count) of row `row` into out[0, count). begin and count need not
// be multiples of a block. Thread-safe.
void DecodeRow(const Weight& w, int64_t row, int64_t begin, int64_t count, float* out);
// The same, rounded to bf16.
void DecodeRow(const Weight& w, int64_t row, int64_t begin, int64_t count, BF16* out);

// Encodes one row of floats into `out` (RowBytes(format, count) bytes). count is a multiple of the
// block; the format is one that has `encode`.
void EncodeRow(WeightFormat format, const float* row, int64_t count, std::byte* out);

// A copy of `source` in another format, in memory from `memory`, converted in pieces of rows over
// the pool's threads; never the whole matrix in f32. `double_quant` is for NF4 alone. For NF4,
// blocks run over the row-major flattened matrix. Same bytes at any number of threads.
Weight Requantised(const Weight& source, WeightFormat format, bool double_quant, Memory& memory,
                   ThreadPool& pool);

// The 16 values of NF4 and the 256 of bitsandbytes' signed dynamic map, ascending.
std::span<const float, 16> Nf4Codes();
std::span<const float, 256> DynamicMap();

}  // namespace retort
