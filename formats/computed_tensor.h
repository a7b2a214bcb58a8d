// SPDX-License-Identifier: Apache-2.0
// A matrix that a file does not hold itself, but what it is computed of: codes, scales, zeros.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace retort {

class ComputedTensor {
 public:
  virtual ~ComputedTensor() = default;
  // Rows [begin, begin + count) in `out` [count, cols], not yet rounded to the entry's format.
  // Thread-safe.
  virtual void Rows(int64_t begin, int64_t count, float* out) const = 0;
  // What its codes are called in messages: "gptq".
  virtual std::string_view type() const = 0;
  // The bytes of the file that it is computed of, beside the entry's own.
  virtual std::vector<Bytes> sources() const = 0;
};

}  // namespace retort
