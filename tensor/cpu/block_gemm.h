// SPDX-License-Identifier: Apache-2.0
// The product that everything large is made of: a few rows times a packed panel of 64 columns, one
// single-threaded library call.
#pragma once

#include <cstdint>
#include <memory>

#include "tensor/tensor.h"

namespace retort {

inline constexpr int64_t kPanel = 64;       // columns of a panel
inline constexpr int64_t kRowStep = 16;     // rows are padded to multiples of this,
inline constexpr int64_t kMostRows = 64;    // and at most so many go into one call
inline constexpr int64_t kDepthStep = 32;   // depths are padded (with zeros) to multiples of this

// c [rows,64] = a [rows,depth] b [depth,64], all dense. a and b are f32 or bf16, c is f32. A panel
// of bf16 holds pairs: element (k, n) lies at (k / 2 * 64 + n) * 2 + k % 2.
class BlockGemm {
 public:
  virtual ~BlockGemm() = default;
  virtual DType type() const = 0;  // of a and b
  // Makes ready for a depth. Not thread-safe; called before the workers start.
  virtual void Prepare(int64_t depth) = 0;
  // Thread-safe between different workers. rows is 16, 32, 48 or 64, depth was prepared.
  virtual void Multiply(int worker, const std::byte* a, const std::byte* b, int64_t rows,
                        int64_t depth, float* c) = 0;
};

// oneDNN's batch-reduce kernels (AVX-512; bf16 needs AVX512_BF16 or AMX). Null where this
// processor has none.
std::unique_ptr<BlockGemm> MakeOneDnnGemm(DType type, int workers, Memory& memory);
// OpenBLAS, f32, any processor.
std::unique_ptr<BlockGemm> MakeOpenBlasGemm();

}  // namespace retort
