// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "tensor/quant/blocks.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

// Where 1 / d overflows (d is subnormal) products are not finite; they become 0, which is what the
// conversion of llama.cpp gives too.
bool FitsInt8(float v) { return v > -129.0f && v < 128.0f; }

// To nearest, halves away from zero.
int8_t RoundedAway(float v) {
  if (!FitsInt8(v)) return 0;
  const int whole = static_cast<int>(v);
  const float rest = v - static_cast<float>(whole);  // exact
  return static_cast<int8_t>(whole + (rest >= 0.5f) - (rest <= -0.5f));
}

void EncodeBlock(const float* x, BlockQ8_0& out) {
  float top = 0;
  for (int i = 0; i < 32; ++i) top = std::max(top, std::abs(x[i]));
  const float d = top / 127;
  const float inverse = d != 0 ? 1 / d : 0.0f;
  out.d = ToF16(d);
  for (int i = 0; i < 32; ++i) out.q[i] = RoundedAway(x[i] * inverse);
}

// The scale is such that the value of largest magnitude, the first among equals, becomes -8.
void EncodeBlock(const float* x, BlockQ4_0& out) {
  float top = 0, extreme = 0;
  for (int i = 0; i < 32; ++i) {
    if (top < std::abs(x[i])) {
      top = std::abs(x[i]);
      extreme = x[i];
    }
  }
  const float d = extreme / -8;
  const float inverse = d != 0 ? 1 / d : 0.0f;
  const auto code = [&](float v) {
    const float shifted = v * inverse + 8.5f;
    return FitsInt8(shifted) ? std::min(15, static_cast<int>(shifted)) : 0;
  };
  out.d = ToF16(d);
  for (int i = 0; i < 16; ++i) out.q[i] = static_cast<uint8_t>(code(x[i]) | code(x[i + 16]) << 4);
}

template <class Block>
void EncodeBlocks(const float* row, int64_t count, std::byte* out) {
  for (int64_t i = 0; i < count; i += kBlockValues, out += sizeof(Block)) {
    Block block;
    EncodeBlock(row + i, block);
    std::memcpy(out, &block, sizeof block);
  }
}

template <class T, class Convert>
void EncodeValues(const float* row, int64_t count, std::byte* out, Convert convert) {
  for (int64_t i = 0; i < count; ++i, out += sizeof(T)) {
    const T value = convert(row[i]);
    std::memcpy(out, &value, sizeof value);
  }
}

}  // namespace

void EncodeRow(WeightFormat format, const float* row, int64_t count, std::byte* out) {
  const FormatTraits& traits = TraitsOf(format);
  RETORT_CHECK(format != WeightFormat::kNF4 && count % traits.block_elements == 0, count,
               " values as ", traits.name);
  switch (format) {
    case WeightFormat::kF32: std::memcpy(out, row, static_cast<size_t>(count) * 4); return;
    case WeightFormat::kF16: return EncodeValues<F16>(row, count, out, ToF16);
    case WeightFormat::kBF16: return EncodeValues<BF16>(row, count, out, ToBF16);
    case WeightFormat::kQ8_0: return EncodeBlocks<BlockQ8_0>(row, count, out);
    case WeightFormat::kQ4_0: return EncodeBlocks<BlockQ4_0>(row, count, out);
    case WeightFormat::kNF4: return;  // its blocks are not a row's
  }
}

}  // namespace retort
