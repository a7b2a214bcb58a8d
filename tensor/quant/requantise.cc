// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tensor/cpu/simd.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

Weight Copied(const Weight& source, Memory& memory) {
  const int64_t bytes = static_cast<int64_t>(source.bytes().size());
  auto buffer = memory.Allocate(bytes);
  std::copy(source.bytes().begin(), source.bytes().end(), buffer->data());
  const Bytes view(buffer->data(), source.bytes().size());
  return Weight(source.format(), source.rows(), source.cols(), view, std::move(buffer), {},
                source.layout());
}

Weight EncodedByRows(const Weight& source, WeightFormat format, Memory& memory, ThreadPool& pool) {
  constexpr int64_t kPieceValues = 1 << 16;
  const int64_t rows = source.rows(), cols = source.cols(), stride = RowBytes(format, cols);
  auto buffer = memory.Allocate(rows * stride);
  const Tensor row_of = Tensor::Make(memory, {pool.threads(), cols}, DType::kF32);
  const int64_t grain = std::max<int64_t>(1, kPieceValues / std::max<int64_t>(1, cols));
  pool.For((rows + grain - 1) / grain, [&](int64_t piece, int worker) {
    float* row = row_of.data<float>() + worker * cols;
    for (int64_t r = piece * grain; r < std::min(rows, (piece + 1) * grain); ++r) {
      DecodeRow(source, r, 0, cols, row);
      EncodeRow(format, row, cols, buffer->data() + r * stride);
    }
  });
  const Bytes view(buffer->data(), static_cast<size_t>(rows * stride));
  return Weight(format, rows, cols, view, std::move(buffer));
}

}  // namespace

void EncodeRow(WeightFormat format, const float* row, int64_t count, std::byte* out,
               const float* importance) {
  const BlockFormat& f = TraitsOf(format);
  RETORT_CHECK(f.encode && count % f.block_elements == 0, count, " values as ", f.name);
  f.encode(HostIsa(), row, importance, count, out);
}

Weight Requantised(const Weight& source, WeightFormat format, bool double_quant, Memory& memory,
                   ThreadPool& pool) {
  if (const auto convert = TraitsOf(format).convert)
    return convert(source, double_quant, memory, pool);
  if (format == source.format()) return Copied(source, memory);
  return EncodedByRows(source, format, memory, pool);
}

}  // namespace retort
