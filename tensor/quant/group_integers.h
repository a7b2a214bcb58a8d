// SPDX-License-Identifier: Apache-2.0
// Matrices as GPTQ's and AWQ's folders hold them: codes of a few bits, and for each group of inputs
// of an output a scale in f16 and a zero: value = scale * (code - zero).
#pragma once

#include <cstdint>
#include <vector>

#include "base/threads.h"
#include "tensor/quant/feedback.h"
#include "tensor/weight.h"

namespace retort {

struct GroupKind {
  int bits = 4;           // 4, or 8 if symmetric
  int64_t group = 128;    // inputs: 32, 64 or 128
  bool symmetric = true;  // all zeros are in the middle of the codes
};

struct GroupIntegers {
  GroupKind kind;
  int64_t rows = 0, cols = 0;
  std::vector<uint8_t> codes;  // [rows, cols]
  std::vector<F16> scales;     // [rows, cols / group]
  std::vector<uint8_t> zeros;  // the same

  int64_t groups() const { return cols / kind.group; }
};

// Rounded with error feedback. The rows are whole groups.
GroupIntegers RoundedToGroups(const Weight& source, const GroupKind& kind,
                              const FeedbackFactor& factor, ThreadPool& pool);

// The values, in f16, as those programs compute them.
Weight ValuesOf(const GroupIntegers& integers, Memory& memory);

}  // namespace retort
