// SPDX-License-Identifier: Apache-2.0
// The block maxima of NF4 and FP4, plain or double-quantised: to the byte what bitsandbytes makes
// on a CPU, in one thread.
#include "tensor/quant/four_bit.h"

#include <cmath>

#include "tensor/dynamic_map.h"

namespace retort {
namespace {

constexpr size_t kPoints = 65536;  // evenly over [-1, 1], at which the nearest code is looked up

const std::array<uint8_t, kPoints>& CodesOfPoints() {
  static const auto codes = [] {
    std::array<uint8_t, kPoints> out;
    for (size_t i = 0; i < kPoints; ++i)
      out[i] = NearestCode(DynamicMap(true), static_cast<float>(i) / 32767.5f - 1);
    return out;
  }();
  return codes;
}

// The sum as PyTorch adds up floats that lie one after the other: four vectors of eight lanes at a
// time, in chains whose sums are carried to the next of four levels after a number of terms that
// grows with their count.
class CascadeSum {
 public:
  float Of(std::span<const float> values) {
    const size_t rows = values.size() / kWide, vectors = values.size() / kLanes;
    const int power = std::max(4, CeilLog2(rows) / kLevels);
    size_t row = 0;
    while (row + (size_t{1} << power) <= rows) {
      for (size_t j = 0; j < size_t{1} << power; ++j) AddRow(values, row++);
      Carry(row, power);
    }
    while (row < rows) AddRow(values, row++);
    for (int level = 1; level < kLevels; ++level) AddTo(levels_[0], levels_[level]);
    std::array<float, kWide>& sums = levels_[0];
    for (size_t v = rows * kVectors; v < vectors; ++v) {
      for (size_t i = 0; i < kLanes; ++i) sums[i] += values[v * kLanes + i];
    }
    for (size_t v = 1; v < kVectors; ++v) {
      for (size_t i = 0; i < kLanes; ++i) sums[i] += sums[v * kLanes + i];
    }
    float sum = 0;
    for (const float value : values.subspan(vectors * kLanes)) sum += value;
    for (size_t i = 0; i < kLanes; ++i) sum += sums[i];
    return sum;
  }

 private:
  static constexpr size_t kLanes = 8, kVectors = 4, kWide = kLanes * kVectors;
  static constexpr int kLevels = 4;

  static int CeilLog2(size_t n) { return n <= 1 ? 0 : static_cast<int>(std::bit_width(n - 1)); }
  static void AddTo(std::array<float, kWide>& sums, const std::array<float, kWide>& more) {
    for (size_t i = 0; i < kWide; ++i) sums[i] += more[i];
  }
  void AddRow(std::span<const float> values, size_t row) {
    for (size_t i = 0; i < kWide; ++i) levels_[0][i] += values[row * kWide + i];
  }
  void Carry(size_t rows, int power) {
    const size_t mask = (size_t{1} << power) - 1;
    for (int level = 1; level < kLevels; ++level) {
      AddTo(levels_[level], levels_[level - 1]);
      levels_[level - 1].fill(0);
      if ((rows & mask << (level * power)) != 0) return;
    }
  }

  std::array<std::array<float, kWide>, kLevels> levels_{};
};

}  // namespace

std::span<const float, 16> FourBitValues(WeightFormat format) {
  return format == WeightFormat::kNF4 ? Nf4Codes() : Fp4Codes();
}

Nf4Scales DoubleQuantised(std::span<const float> absmax, Memory& memory) {
  const int64_t blocks = static_cast<int64_t>(absmax.size());
  Nf4Scales out;
  out.double_quant = true;
  out.codes = Tensor::Make(memory, {blocks}, DType::kU8);
  out.nested_absmax =
      Tensor::Make(memory, {(blocks + kNestedBlock - 1) / kNestedBlock}, DType::kF32);
  out.offset = blocks ? CascadeSum().Of(absmax) / static_cast<float>(blocks) : 0.0f;
  const auto& codes = CodesOfPoints();
  for (int64_t begin = 0; begin < blocks; begin += kNestedBlock) {
    const int64_t end = std::min(blocks, begin + kNestedBlock);
    float top = 0;
    for (int64_t i = begin; i < end; ++i) top = std::max(top, std::abs(absmax[i] - out.offset));
    out.nested_absmax.data<float>()[begin / kNestedBlock] = top;
    for (int64_t i = begin; i < end; ++i) {
      uint8_t& code = out.codes.data<uint8_t>()[i];
      const float unit = std::clamp((absmax[i] - out.offset) * (1 / top), -1.0f, 1.0f);
      const float point = (unit + 1) * 32767.5f + 0.5f;
      code = point >= 0 ? codes[static_cast<size_t>(point)] : 0;  // 0 where all of a block is
    }
  }
  return out;
}

void BlockMaxima(const Nf4Scales& scales, int64_t first, std::span<float> out) {
  if (!scales.double_quant) {
    std::copy_n(scales.absmax.data<float>() + first, out.size(), out.begin());
    return;
  }
  const auto& map = DynamicMap(true);
  const uint8_t* codes = scales.codes.data<uint8_t>();
  const float* nested = scales.nested_absmax.data<float>();
  for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i) {
    const float spread = map[codes[first + i]] * nested[(first + i) / kNestedBlock];
    out[i] = spread + scales.offset;
  }
}

}  // namespace retort
