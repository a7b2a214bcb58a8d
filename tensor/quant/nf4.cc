// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/nf4.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/quant/blocks.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

// QLoRA (arXiv 2305.14314), appendix E.
constexpr std::array<float, 16> kCodes = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

constexpr std::array<float, 15> kMidpoints = [] {
  std::array<float, 15> m{};
  for (size_t i = 0; i < m.size(); ++i) m[i] = (kCodes[i + 1] + kCodes[i]) / 2;
  return m;
}();

constexpr int64_t kNestedBlock = 256;

// For i = 0 ... 6: 2^i equal intervals of [0.1, 1], their middles times 10^(i - 6), with both
// signs; and 0 and 1.
std::array<float, 256> MakeDynamicMap() {
  std::array<float, 256> map = {0.0f, 1.0f};
  size_t n = 2;
  for (int i = 0; i < 7; ++i) {
    const int intervals = 1 << i;
    const float step = (1.0f - 0.1f) / static_cast<float>(intervals);
    // Edges are counted from the nearer end, as torch.linspace does.
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

void EncodeBlock(const float* values, float absmax, uint8_t* code) {
  float unit[kNf4BlockValues];
  for (int64_t i = 0; i < kNf4BlockValues; ++i) unit[i] = absmax > 0 ? values[i] / absmax : 0.0f;
  int32_t below[kNf4BlockValues] = {};
  for (const float midpoint : kMidpoints) {
    for (int64_t i = 0; i < kNf4BlockValues; ++i) below[i] += unit[i] > midpoint;
  }
  for (int64_t i = 0; i < kNf4BlockValues; ++i) code[i] = static_cast<uint8_t>(below[i]);
}

}  // namespace

std::span<const float, 16> Nf4Codes() { return kCodes; }

std::span<const float, 256> DynamicMap() {
  static const std::array<float, 256> map = MakeDynamicMap();
  return map;
}

void EncodeNf4(std::span<const float> values, std::byte* codes, float* absmax) {
  const int64_t count = static_cast<int64_t>(values.size());
  for (int64_t begin = 0; begin < count; begin += kNf4BlockValues) {
    const int64_t n = std::min(kNf4BlockValues, count - begin);
    float block[kNf4BlockValues] = {};  // a short last block is padded with zeros
    std::copy_n(values.data() + begin, n, block);
    float top = 0;
    for (const float v : block) top = std::max(top, std::abs(v));
    *absmax++ = top;
    uint8_t code[kNf4BlockValues];
    EncodeBlock(block, top, code);
    if (n % 2) code[n] = 0;  // the half byte after an odd end
    for (int64_t i = 0; i < n; i += 2) {
      *codes++ = static_cast<std::byte>(code[i] << 4 | code[i + 1]);
    }
  }
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
