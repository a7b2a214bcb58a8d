// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tensor/cpu/block_gemm.h"
#include "tensor/cpu/tile.h"

namespace retort {
namespace {

constexpr int64_t kWidest = 16;  // floats in the widest vectors

class VectorGemm : public BlockGemm {
 public:
  explicit VectorGemm(Isa isa) : isa_(isa) {}
  DType type() const override { return DType::kF32; }

  void Multiply(int, const BlockProduct& p) override {
    const TileA a{reinterpret_cast<const float*>(p.a), p.a_row, 1};
    const TileB b{reinterpret_cast<const float*>(p.b), kPanel};
    if (p.cols % kWidest == 0)
      return Tile(p.rows, p.cols, p.depth, a, b, {p.out, p.out_row}, p.add);
    alignas(64) float block[kTailRows * kPanel];
    for (int64_t t = 0; t < p.rows; t += kTailRows) {
      const int64_t rows = std::min(kTailRows, p.rows - t);
      Tile(rows, kPanel, p.depth, {a.data + t * a.row, a.row, 1}, b, {block, kPanel}, false);
      StoreBlock(block, p, t, rows);
    }
  }

 private:
  void Tile(int64_t rows, int64_t cols, int64_t depth, TileA a, TileB b, TileC c, bool add) const {
    if (add) return CallSimd<TileProduct<true>>(isa_, rows, cols, depth, a, b, c);
    CallSimd<TileProduct<false>>(isa_, rows, cols, depth, a, b, c);
  }

  Isa isa_;
};

}  // namespace

void StoreBlock(const float* block, const BlockProduct& p, int64_t first_row, int64_t rows) {
  float* out = p.out + first_row * p.out_row;
  for (int64_t t = 0; t < rows; ++t, block += kPanel, out += p.out_row) {
    if (p.add) {
      for (int64_t i = 0; i < p.cols; ++i) out[i] += block[i];
    } else {
      std::copy_n(block, p.cols, out);
    }
  }
}

std::unique_ptr<BlockGemm> MakeVectorGemm(Isa isa) { return std::make_unique<VectorGemm>(isa); }

}  // namespace retort
