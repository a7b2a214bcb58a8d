// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/random_blocks.h"

#include <cmath>
#include <vector>

#include "tensor/quant/quant.h"

namespace retort {
namespace {

double RootMeanSquare(WeightFormat format, Bytes block) {
  const int64_t count = TraitsOf(format).block_elements;
  std::vector<float> values(static_cast<size_t>(count));
  DecodeRow(Weight(format, 1, count, block, nullptr), 0, 0, count, values.data());
  double squares = 0;
  for (const float v : values) squares += double{v} * v;
  return std::sqrt(squares / static_cast<double>(count));
}

}  // namespace

void RandomRow(WeightFormat format, int64_t cols, double deviation, RandomStream& random,
               std::byte* out) {
  const BlockFormat& f = TraitsOf(format);
  const auto bytes = static_cast<size_t>(RowBytes(format, cols));
  if (f.encode) {
    std::vector<float> row(static_cast<size_t>(cols));
    for (float& v : row) v = static_cast<float>(deviation * random.Normal());
    return EncodeRow(format, row.data(), cols, out);
  }
  const auto block_bytes = static_cast<size_t>(f.block_bytes);
  std::vector<std::byte> block(block_bytes);
  for (size_t at = 0; at < bytes; at += block_bytes) {
    double size;
    do {  // until the scale, wherever it is, suits
      for (std::byte& b : block) b = static_cast<std::byte>(random.Below(256));
      size = RootMeanSquare(format, block) / deviation;
    } while (!(size > 0.8 && size < 1.2));
    std::copy(block.begin(), block.end(), out + at);
  }
}

}  // namespace retort
