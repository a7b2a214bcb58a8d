// SPDX-License-Identifier: Apache-2.0
// The building block of all large products: rows times a packed panel of 64 columns, on one thread.
#pragma once

#include <cstdint>
#include <memory>

#include "tensor/cpu/simd.h"
#include "tensor/tensor.h"

namespace retort {

inline constexpr int64_t kPanel = 64;      // columns of a panel
inline constexpr int64_t kTailRows = 48;   // of the buffer for a panel of fewer columns
inline constexpr int64_t kDepthStep = 32;  // a panel's depth is padded with zeros to a multiple

// out [rows,cols] (+)= a [rows,depth] b [depth,64]. a and b are of the kernel's type, rows of a
// a_row elements apart; b is dense; out is f32, rows out_row apart, and cols <= 64.
struct BlockProduct {
  const std::byte* a;
  int64_t a_row;
  const std::byte* b;
  int64_t rows, depth;
  float* out;
  int64_t out_row, cols;
  bool add;
};

class BlockGemm {
 public:
  virtual ~BlockGemm() = default;
  // The type of a and b: f32 or bf16. A panel of bf16 holds pairs: element (k, n) is at index
  // (k / 2 * 64 + n) * 2 + k % 2.
  virtual DType type() const = 0;
  // Depths, and the number of rows if a is of bf16, are multiples of these.
  virtual int64_t depth_step() const { return 1; }
  virtual int64_t row_step() const { return 1; }
  // Prepares kernels for a depth. Not thread-safe; called before the workers start.
  virtual void Prepare(int64_t /*depth*/) {}
  // In our own kernels the order of an element's sum does not depend on the other rows. Thread-safe
  // between different workers.
  virtual void Multiply(int worker, const BlockProduct& product) = 0;
};

// Our own f32 kernels: AVX2 and AVX-512.
std::unique_ptr<BlockGemm> MakeVectorGemm(Isa isa);
// Our own bf16 kernels: AVX512_BF16's dot products. Null if this processor has none.
std::unique_ptr<BlockGemm> MakeBF16Gemm();
// oneDNN's batch-reduce kernels, bf16, which use AMX. Null if this processor does not support them.
std::unique_ptr<BlockGemm> MakeOneDnnGemm(int workers, Memory& memory);
bool OneDnnHasAmx();
// OpenBLAS, f32, any processor.
std::unique_ptr<BlockGemm> MakeOpenBlasGemm();

// Stores a block of results, [rows, cols] with rows 64 apart, to rows [first_row, first_row + rows)
// of the product's output, or adds it there if product.add.
void StoreBlock(const float* block, const BlockProduct& product, int64_t first_row, int64_t rows);

}  // namespace retort
