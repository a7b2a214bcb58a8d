// SPDX-License-Identifier: Apache-2.0
// Every block format's encode and decode, each once.
//
//   format  block              bytes  value
//   q8_0    32 of one row      34     d * q,        d f16, q int8               (ggml's Q8_0)
//   q4_0    32 of one row      18     d * (q - 8),  d f16, q 4 bit              (ggml's Q4_0)
//   nf4     64, flattened      32     absmax * code[q], see Nf4Scales           (QLoRA, bitsandbytes)
//
// Encoded bytes equal those of llama.cpp's `llama-quantize --pure` (q8_0, q4_0) and, away from
// ties, bitsandbytes' (nf4). f32, f16 and bf16 pass through the same functions.
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

// Encodes one row (count a multiple of the block, not NF4) of floats into `out`
// (RowBytes(format, count) bytes).
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
