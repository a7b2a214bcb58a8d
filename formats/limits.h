// SPDX-License-Identifier: Apache-2.0
// What a file of tensors may hold at most. Real files stay far below; the limits keep the memory
// that a file takes while it is read in proportion to its size, however small its entries are.
#pragma once

#include <cstddef>
#include <cstdint>

namespace retort {

inline constexpr uint64_t kMostTensors = 131'072;  // in one file
inline constexpr uint64_t kMostMetadata = 65'536;  // entries, in one file

// What tensors of a type of unknown size take at least: no format stores an element in less than a
// bit.
constexpr uint64_t LeastBytes(uint64_t elements) { return elements / 8 + (elements % 8 != 0); }

}  // namespace retort
