// SPDX-License-Identifier: Apache-2.0
// NF4's block maxima, plain or double-quantised.
#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/quant/nf4.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr int64_t kNestedBlock = 256;

// For i = 0 ... 6: the midpoints of 2^i equal intervals of [0.1, 1], times 10^(i - 6), with both
// signs; and 0 and 1.
std::array<float, 256> MakeDynamicMap() {
  std::array<float, 256> map = {0.0f, 1.0f};
  size_t n = 2;
  for (int i = 0; i < 7; ++i) {
    const int intervals = 1 << i;
    const float step = (1.0f - 0.1f) / static_cast<float>(intervals);
    // Edges are computed from the nearer end, as in torch.linspace.
    const auto edge = [&](int k) {
      return k < (intervals + 1) / 2 ? 0.1f + step * static_cast<float>(k)
                                     : 1.0f - step * static_cast<float>(intervals - k);
    };
    const float power = static_cast<float>(std::pow(10.0, i - 6));
    for (int k = 0; k < intervals; ++k) {
      const float value = (edge(k + 1) + edge(k)) / 2 * power;
      map[n++] = value;
      map[n++] = -value;
    }
  }
  std::sort(map.begin(), map.end());
  return map;
}

}  // namespace

std::span<const float, 256> DynamicMap() {
  static const std::array<float, 256> map = MakeDynamicMap();
  return map;
}

Nf4Scales DoubleQuantised(std::span<const float> absmax, Memory& memory) {
  const int64_t blocks = static_cast<int64_t>(absmax.size());
  Nf4Scales out;
  out.double_quant = true;
  out.codes = Tensor::Make(memory, {blocks}, DType::kU8);
  out.nested_absmax =
      Tensor::Make(memory, {(blocks + kNestedBlock - 1) / kNestedBlock}, DType::kF32);
  double sum = 0;
  for (const float v : absmax) sum += v;
  out.offset = blocks ? static_cast<float>(sum / static_cast<double>(blocks)) : 0.0f;

  const auto map = DynamicMap();
  std::array<float, 255> midpoints;
  for (size_t i = 0; i < midpoints.size(); ++i) midpoints[i] = (map[i + 1] + map[i]) / 2;
  for (int64_t begin = 0; begin < blocks; begin += kNestedBlock) {
    const int64_t end = std::min(blocks, begin + kNestedBlock);
    float top = 0;
    for (int64_t i = begin; i < end; ++i) top = std::max(top, std::abs(absmax[i] - out.offset));
    out.nested_absmax.data<float>()[begin / kNestedBlock] = top;
    for (int64_t i = begin; i < end; ++i) {
      const float unit = top > 0 ? (absmax[i] - out.offset) / top : 0.0f;
      out.codes.data<uint8_t>()[i] = static_cast<uint8_t>(
          std::lower_bound(midpoints.begin(), midpoints.end(), unit) - midpoints.begin());
    }
  }
  return out;
}

void ScalesOf(const Nf4Scales& scales, int64_t first, std::span<float> out) {
  if (!scales.double_quant) {
    std::copy_n(scales.absmax.data<float>() + first, out.size(), out.begin());
    return;
  }
  const auto map = DynamicMap();
  const uint8_t* codes = scales.codes.data<uint8_t>();
  const float* nested = scales.nested_absmax.data<float>();
  for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i) {
    const float spread = map[codes[first + i]] * nested[(first + i) / kNestedBlock];
    out[i] = spread + scales.offset;
  }
}

}  // namespace retort
