// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/int8_stream.h"

#include <algorithm>

#include "tensor/cpu/gated_activation.h"
#include "tensor/cpu/int8_tile.h"
#include "tensor/cpu/products.h"

namespace retort {
namespace {

// The outputs of a strip are a block of the next product's input.
static_assert(kStripRows == kBlockValues);

// All rows of x, interleaved; the sum of `parts` consecutive products is a row of y.
struct Tile {
  Tensor bytes;
  int64_t rows, parts;

  Tile(Memory& memory, int64_t tile_rows, int64_t tile_parts, int64_t cols)
      : bytes(Tensor::Make(memory, {TileBytes(tile_rows, cols / kBlockValues)}, DType::kU8)),
        rows(tile_rows),
        parts(tile_parts) {}
  Tile(Memory& memory, const Int8Rows& x, int64_t cols)
      : Tile(memory, std::ssize(x.rows()), x.parts(), cols) {
    InterleaveInt8(x.rows().data(), rows, cols / kBlockValues, bytes.raw());
  }

  // y = the products with the strip of w that begins at row `begin`; y's rows are `stride` apart.
  void Multiply(const Weight& w, int64_t begin, float* y, int64_t stride) const {
    alignas(64) float sums[kInt8TileRows * kStripRows];
    MultiplyStrip(bytes.raw(), rows, w, begin, sums);
    const int64_t cols = std::min(kStripRows, w.rows() - begin);
    for (int64_t t = 0; t < rows; t += parts, y += stride)
      WriteSums(sums + t * kStripRows, parts, 0, cols, y);
  }
  void Multiply(ThreadPool& pool, std::span<WeightProduct> products) const {
    ForOutputs(pool, rows, kStripRows, products, [&](WeightProduct& p, int64_t begin, int64_t) {
      Multiply(*p.w, begin, p.y.data<float>() + begin, p.w->rows());
    });
  }
  // Quantises x [rows / parts, kBlockValues] and stores it as block number `block` of the rows.
  void Quantise(Isa isa, const float* x, int64_t block) const {
    int8_t q[2][kInt8TileRows * kBlockValues];
    float d[2][kInt8TileRows];
    int32_t offset[2][kInt8TileRows];
    const Int8Space high{q[0], d[0], offset[0]}, low{q[1], d[1], offset[1]};
    QuantiseInt8(isa, x, rows / parts * kBlockValues, parts == 2, high, low);
    Int8Row part[kInt8TileRows];
    for (int64_t r = 0; r < rows; ++r) {
      const Int8Space& from = r % parts == 0 ? high : low;
      part[r] = {from.q + r / parts * kBlockValues, from.d + r / parts, from.offset + r / parts};
    }
    InterleaveInt8(part, rows, 1, bytes.raw() + TileBytes(rows, block));
  }
};

bool LiesInStrips(const Weight& w) { return w.layout() == WeightLayout::kStrips; }

}  // namespace

bool Streams(const Int8Rows& x, std::span<const WeightProduct> products) {
  return std::ssize(x.rows()) <= kInt8TileRows &&
         std::ranges::all_of(products, [](const WeightProduct& p) { return LiesInStrips(*p.w); });
}

void StreamForward(ThreadPool& pool, Memory& memory, const Int8Rows& x,
                   std::span<WeightProduct> products) {
  Tile(memory, x, products[0].w->cols()).Multiply(pool, products);
}

bool StreamsFeedForward(Isa isa, const FeedForwardWeights& w, int64_t rows, bool wide_input) {
  return isa == Isa::kAvx512 && CpuHasVnni() && rows * (wide_input ? 2 : 1) <= kInt8TileRows &&
         LiesInStrips(w.gate) && LiesInStrips(w.up) && LiesInStrips(w.down);
}

void StreamFeedForward(ThreadPool& pool, Memory& memory, Isa isa, Activation activation,
                       const float* x, int64_t rows, const FeedForwardWeights& w, bool wide_input,
                       Tensor& y) {
  const int64_t hidden = w.gate.rows();
  const Tile in(memory, Int8Rows(pool, memory, isa, x, rows, w.gate.cols(), wide_input),
                w.gate.cols());
  const Tile h(memory, in.rows, in.parts, hidden);
  const double operations = 4.0 * static_cast<double>(in.rows * hidden * w.gate.cols());
  ForPieces(pool, operations, hidden / kStripRows, [&](int64_t strip, int) {
    float gate[kInt8TileRows * kStripRows], up[kInt8TileRows * kStripRows];
    in.Multiply(w.gate, strip * kStripRows, gate, kStripRows);
    in.Multiply(w.up, strip * kStripRows, up, kStripRows);
    ActivateGated(isa, activation, {gate, up, gate}, 0, rows * kStripRows);
    h.Quantise(isa, gate, strip);
  });
  WeightProduct last{&w.down, y, {}};
  h.Multiply(pool, {&last, 1});
}

}  // namespace retort
