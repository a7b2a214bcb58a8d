// SPDX-License-Identifier: Apache-2.0
// Dense products on the device: cuBLASLt, and in tests/cuda_on_cpu the plain loops. One file each.
#pragma once

#include <cstdint>
#include <memory>

#include "tensor/cuda/driver.h"
#include "tensor/dtype.h"

namespace retort::cuda {

// A row-major matrix in the device's memory, f32 or bf16, used as it is or transposed. `stride` is
// the distance of its rows.
struct Matrix {
  const void* data;
  DType type;
  int64_t stride;
  bool transposed = false;
};

class Blas {
 public:
  virtual ~Blas() = default;
  // c [m,n], f32, rows c_stride apart = alpha op(a) [m,k] op(b) [k,n] + beta c; with beta 0, c is
  // not read. a and b are of one type. Sums are f32; f32 operands are not rounded. The same bits in
  // every call with the same sizes, alignments and device. k >= 1.
  virtual void Multiply(Queue& queue, int64_t m, int64_t n, int64_t k, float alpha, const Matrix& a,
                        const Matrix& b, float beta, void* c, int64_t c_stride) = 0;
};
std::unique_ptr<Blas> MakeBlas();

}  // namespace retort::cuda
