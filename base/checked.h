// SPDX-License-Identifier: Apache-2.0
// Arithmetic on counts, lengths and offsets read from a file. Overflow throws Error{kInput} instead
// of wrapping around.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace retort {

// `what` names the file and the field, e.g. "model.gguf: tensor 'a': size".
inline uint64_t CheckedMul(uint64_t a, uint64_t b, std::string_view what) {
  uint64_t out;
  if (__builtin_mul_overflow(a, b, &out)) throw InputError(what, ": ", a, " x ", b, " overflows");
  return out;
}

inline uint64_t CheckedAdd(uint64_t a, uint64_t b, std::string_view what) {
  uint64_t out;
  if (__builtin_add_overflow(a, b, &out)) throw InputError(what, ": ", a, " + ", b, " overflows");
  return out;
}

}  // namespace retort
