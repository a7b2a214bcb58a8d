// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "tensor/cpu/products.h"
#include "tensor/quant/decode.h"

namespace retort {
namespace {

constexpr int64_t kDepthChunk = 1024;  // of a panel that is packed at a time: it stays in the L2
constexpr int64_t kRowBlock = 1024;    // rows for which a panel is decoded once

// The left factor, converted and padded: chunk by chunk of the depth, each [padded rows, padded
// chunk] dense.
class PackedRows {
 public:
  PackedRows(const ProductContext& context, const PanelProduct& p, int64_t begin, int64_t rows)
      : rows_(RoundUp(rows, kRowStep)), type_(context.gemm.type()),
        data_(Tensor::Make(context.memory, {rows_, RoundUp(p.depth, kDepthStep)}, type_)) {
    const double work = static_cast<double>(rows_ * p.depth) * 8;
    ForPieces(context.pool, work, rows_ / kRowStep, [&](int64_t piece, int) {
      for (int64_t t = piece * kRowStep; t < (piece + 1) * kRowStep; ++t) {
        for (int64_t k = 0; k < p.depth; k += kDepthChunk) {
          const int64_t count = std::min(kDepthChunk, p.depth - k);
          const float* from = t < rows ? p.a + (begin + t) * p.depth + k : nullptr;
          PackRow(context.isa, from, count, RoundUp(count, kDepthStep), At(k, t));
        }
      }
    });
  }

  int64_t rows() const { return rows_; }
  // Row t of the chunk that begins at depth k; the rows after it follow.
  std::byte* At(int64_t k, int64_t t) const {
    const int64_t width = std::min(kDepthChunk, data_.cols() - k);
    return data_.raw() + (rows_ * k + t * width) * SizeOf(type_);
  }

 private:
  void PackRow(Isa isa, const float* from, int64_t count, int64_t padded, std::byte* to) const {
    const int64_t size = SizeOf(type_), filled = from ? count : 0;
    std::memset(to + filled * size, 0, static_cast<size_t>((padded - filled) * size));
    if (!from) return;
    if (type_ == DType::kBF16) {
      RoundToBF16(isa, from, count, reinterpret_cast<BF16*>(to));
    } else {
      std::memcpy(to, from, static_cast<size_t>(count * size));
    }
  }

  int64_t rows_;
  DType type_;
  Tensor data_;
};

void StoreBlock(const float* c, int64_t rows, int64_t cols, bool add, float* out, int64_t stride) {
  for (int64_t t = 0; t < rows; ++t, c += kPanel, out += stride) {
    if (add) {
      for (int64_t i = 0; i < cols; ++i) out[i] += c[i];
    } else {
      std::copy_n(c, cols, out);
    }
  }
}

}  // namespace

void RunPanels(const ProductContext& context, const PanelProduct& p) {
  BlockGemm& gemm = context.gemm;
  for (int64_t k = 0; k < p.depth; k += kDepthChunk) {
    gemm.Prepare(RoundUp(std::min(kDepthChunk, p.depth - k), kDepthStep));
  }
  const int64_t all = CeilDiv(p.cols, kPanel), grain = p.panels_per_piece;
  const int64_t longest = RoundUp(std::min(kDepthChunk, p.depth), kDepthStep);
  const int64_t panel_bytes = longest * kPanel * SizeOf(gemm.type());
  const int64_t block_bytes = kMostRows * kPanel * SizeOf(DType::kF32);
  const Tensor room = Tensor::Make(
      context.memory,
      {context.pool.threads(), grain * panel_bytes + block_bytes + kPackScratchBytes}, DType::kU8);

  for (int64_t top = 0; top < p.rows; top += kRowBlock) {
    const int64_t rows = std::min(kRowBlock, p.rows - top);
    const PackedRows a(context, p, top, rows);
    const auto piece = [&](int64_t index, int worker) {
      std::byte* packed = room.raw() + worker * room.cols();
      auto* c = reinterpret_cast<float*>(packed + grain * panel_bytes);
      std::byte* scratch = packed + grain * panel_bytes + block_bytes;
      const int64_t panel = index * grain, panels = std::min(grain, all - panel);
      for (int64_t k = 0; k < p.depth; k += kDepthChunk) {
        const int64_t count = std::min(kDepthChunk, p.depth - k);
        const int64_t padded = RoundUp(count, kDepthStep);
        p.pack(panel, panels, k, count, padded, scratch, packed);
        for (int64_t t = 0; t < rows; t += kMostRows) {
          const int64_t height = std::min(kMostRows, a.rows() - t);
          for (int64_t i = 0; i < panels; ++i) {
            const std::byte* b = packed + i * padded * kPanel * SizeOf(gemm.type());
            gemm.Multiply(worker, a.At(k, t), b, height, padded, c);
            const int64_t col = (panel + i) * kPanel;
            StoreBlock(c, std::min(height, rows - t), std::min(kPanel, p.cols - col),
                       p.add || k > 0, p.out + (top + t) * p.cols + col, p.cols);
          }
        }
      }
    };
    const double operations = 2.0 * static_cast<double>(rows) * static_cast<double>(p.depth) *
                              static_cast<double>(p.cols);
    ForPieces(context.pool, operations, CeilDiv(all, grain), piece);
  }
}

}  // namespace retort
