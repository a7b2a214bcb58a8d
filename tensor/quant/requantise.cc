// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tensor/quant/blocks.h"
#include "tensor/quant/nf4.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

Weight Owning(WeightFormat format, const Weight& source, std::shared_ptr<Buffer> buffer,
              int64_t bytes, Nf4Scales scales = {}) {
  const Bytes view(buffer->data(), static_cast<size_t>(bytes));
  return Weight(format, source.rows(), source.cols(), view, std::move(buffer), std::move(scales));
}

Weight Copied(const Weight& source, Memory& memory) {
  const int64_t bytes = static_cast<int64_t>(source.bytes().size());
  auto buffer = memory.Allocate(bytes);
  std::copy(source.bytes().begin(), source.bytes().end(), buffer->data());
  const Bytes view(buffer->data(), source.bytes().size());
  return Weight(source.format(), source.rows(), source.cols(), view, std::move(buffer), {}, source.layout());
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
  return Owning(format, source, std::move(buffer), rows * stride);
}

// Values [begin, begin + count) of the flattened matrix.
void DecodeFlat(const Weight& w, int64_t begin, int64_t count, float* out) {
  while (count > 0) {
    const int64_t row = begin / w.cols(), col = begin % w.cols();
    const int64_t n = std::min(count, w.cols() - col);
    DecodeRow(w, row, col, n, out);
    begin += n;
    count -= n;
    out += n;
  }
}

Weight EncodedNf4(const Weight& source, bool double_quant, Memory& memory, ThreadPool& pool) {
  constexpr int64_t kPieceBlocks = 512, kPieceValues = kPieceBlocks * kNf4BlockValues;
  const int64_t values = source.rows() * source.cols(), bytes = (values + 1) / 2;
  auto buffer = memory.Allocate(bytes);
  const int64_t blocks = (values + kNf4BlockValues - 1) / kNf4BlockValues;
  Tensor absmax = Tensor::Make(memory, {blocks}, DType::kF32);
  const Tensor flat_of = Tensor::Make(memory, {pool.threads(), kPieceValues}, DType::kF32);
  pool.For((values + kPieceValues - 1) / kPieceValues, [&](int64_t piece, int worker) {
    float* flat = flat_of.data<float>() + worker * kPieceValues;
    const int64_t begin = piece * kPieceValues, n = std::min(kPieceValues, values - begin);
    DecodeFlat(source, begin, n, flat);
    EncodeNf4({flat, static_cast<size_t>(n)}, buffer->data() + begin / 2,
              absmax.data<float>() + piece * kPieceBlocks);
  });
  Nf4Scales scales;
  if (double_quant) {
    scales = DoubleQuantised({absmax.data<float>(), static_cast<size_t>(blocks)}, memory);
  } else {
    scales.absmax = std::move(absmax);
  }
  return Owning(WeightFormat::kNF4, source, std::move(buffer), bytes, std::move(scales));
}

}  // namespace

Weight Requantised(const Weight& source, WeightFormat format, bool double_quant, Memory& memory,
                   ThreadPool& pool) {
  if (format == WeightFormat::kNF4) return EncodedNf4(source, double_quant, memory, pool);
  if (format == source.format()) return Copied(source, memory);
  return EncodedByRows(source, format, memory, pool);
}

}  // namespace retort
