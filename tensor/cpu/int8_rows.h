// SPDX-License-Identifier: Apache-2.0
// Activations quantised for int8 products, in blocks of 32 of one scale.
#pragma once

#include <span>

#include "base/threads.h"
#include "tensor/cpu/int8_dots.h"
#include "tensor/tensor.h"

namespace retort {

// Where a row goes, as Int8Row.
struct Int8Space {
  int8_t* q;
  float* d;
  int32_t* offset;
};
// x [cols], whole blocks, without padding; precisely (Int8Rows) its high and low parts, else all of
// it to `high`.
void QuantiseInt8(Isa isa, const float* x, int64_t cols, bool wide_input, const Int8Space& high,
                  const Int8Space& low);

// x [rows,cols] as d q, |q| <= 127; or precisely, in 15 bits, as d (128 high + low), -64 <= low <
// 64: then there are two rows for each, the high part of scale 128 d and the low one, whose
// products are to be added.
class Int8Rows {
 public:
  Int8Rows(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows, int64_t cols,
           bool wide_input);

  std::span<const Int8Row> rows() const { return rows_; }  // parts() for each row of x
  int64_t parts() const { return parts_; }

 private:
  int64_t parts_;
  Tensor storage_;
  std::span<Int8Row> rows_;  // in storage_ too
};

}  // namespace retort
