// SPDX-License-Identifier: Apache-2.0
// Activations quantised for int8 products, in blocks of 32 values with one scale.
#pragma once

#include <span>

#include "base/threads.h"
#include "tensor/cpu/int8_dots.h"
#include "tensor/tensor.h"

namespace retort {

// Output arrays for one row, laid out as in Int8Row.
struct Int8Space {
  int8_t* q;
  float* d;
  int32_t* offset;
};
// Quantises x [cols], whole blocks, without padding: with wide_input to high and low parts (see
// Int8Rows), else to `high` alone. A block that holds NaN or infinity has a scale that is NaN or
// infinite and zeros as values, so that every product with it is NaN.
void QuantiseInt8(Isa isa, const float* x, int64_t cols, bool wide_input, const Int8Space& high,
                  const Int8Space& low);

// x [rows,cols] as d q, |q| <= 127; or with wide_input in 15 bits as d (128 high + low),
// -64 <= low < 64. The latter gives two rows for each row of x, the high part with scale 128 d and
// the low part with scale d; their products are to be added.
class Int8Rows {
 public:
  Int8Rows(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows, int64_t cols,
           bool wide_input);

  std::span<const Int8Row> rows() const { return rows_; }  // parts() for each row of x
  int64_t parts() const { return parts_; }

 private:
  int64_t parts_;
  Tensor storage_;
  std::span<Int8Row> rows_;  // also in storage_
};

}  // namespace retort
