// SPDX-License-Identifier: Apache-2.0
// Element types of tensors, and identifiers of weight formats.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace retort {

// The element type of an activation, gradient, index or cache tensor.
enum class DType : uint8_t { kF32, kF64, kF16, kBF16, kI32, kI64, kU8 };

constexpr int64_t SizeOf(DType type) {
  switch (type) {
    case DType::kF64:
    case DType::kI64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF16:
    case DType::kBF16:
      return 2;
    case DType::kU8:
      return 1;
  }
  return 0;
}
std::string_view NameOf(DType type);  // "f32"

struct BF16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

inline float ToFloat(BF16 v) { return std::bit_cast<float>(uint32_t{v.bits} << 16); }
// Round to nearest even; NaN stays NaN.
inline BF16 ToBF16(float v) {
  const uint32_t u = std::bit_cast<uint32_t>(v);
  if ((u & 0x7fffffff) > 0x7f800000) return {static_cast<uint16_t>(u >> 16 | 0x40)};
  return {static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16)};
}
float ToFloat(F16 v);
F16 ToF16(float v);  // round to nearest even, overflow to infinity

template <class T>
constexpr DType kDTypeOf = DType::kU8;
template <>
inline constexpr DType kDTypeOf<float> = DType::kF32;
template <>
inline constexpr DType kDTypeOf<double> = DType::kF64;
template <>
inline constexpr DType kDTypeOf<int32_t> = DType::kI32;
template <>
inline constexpr DType kDTypeOf<int64_t> = DType::kI64;
template <>
inline constexpr DType kDTypeOf<BF16> = DType::kBF16;
template <>
inline constexpr DType kDTypeOf<F16> = DType::kF16;

// How a weight matrix is stored: an index into the table of tensor/quant/format.h, which describes
// each format. Only formats that code refers to by name are listed here; the table has more.
enum class WeightFormat : uint8_t { kF32, kF16, kBF16, kQ8_0, kQ4_0, kNF4 };

}  // namespace retort
