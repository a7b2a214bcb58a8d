// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/int8_panels.h"

#include <algorithm>

#include "tensor/cpu/fetch.h"
#include "tensor/cpu/products.h"

namespace retort {
namespace {

constexpr int64_t kMostPieceRows = 85 * kInt8TileRows;  // per piece: its sums fit in the L2
constexpr int64_t kFewRows = 32;

// The division of a parallel pass into pieces. Depends on the shape alone.
struct Int8Partition {
  int64_t rows, blocks, parts;  // the sum of `parts` consecutive Int8Rows is one row of y
  int64_t piece_rows, row_pieces;
  int64_t chunk;   // blocks packed at a time
  int64_t strips;  // per piece; with more of them, activations are read less often from far caches

  Int8Partition(const TileKernel& kernel, const Int8Rows& x, int64_t x_blocks)
      : rows(std::ssize(x.rows())), blocks(x_blocks), parts(x.parts()) {
    row_pieces = CeilDiv(rows, kMostPieceRows);
    piece_rows = RoundUp(CeilDiv(rows, row_pieces), parts);
    const auto& sizes = kernel.sizes();
    chunk = RoundUp(CeilDiv(blocks, CeilDiv(blocks, sizes.most_blocks)), sizes.block_step);
    strips = kernel.TileBytes(piece_rows, blocks) > (1 << 20) ? 4 : 1;
  }
  int64_t Pieces(const Weight& w) const {
    return CeilDiv(CeilDiv(w.rows(), kStripRows), strips) * row_pieces;
  }
};

// Divides `rows` into tiles of nearly equal size: tile i is rows [Begin(i), Begin(i + 1)).
struct Tiles {
  int64_t rows, count;
  Tiles(const TileKernel& kernel, int64_t n)
      : rows(n), count(CeilDiv(n, kernel.sizes().tile_rows)) {}
  int64_t Begin(int64_t i) const { return rows * i / count; }
  int64_t Rows(int64_t i) const { return Begin(i + 1) - Begin(i); }
};

// A worker's work space.
struct Int8Scratch {
  std::byte* packed;
  float* sums;  // [strips, piece_rows, kStripRows]

  static int64_t PackedBytes(const TileKernel& kernel, const Int8Partition& partition) {
    return partition.chunk * kernel.sizes().packed_bytes;
  }
  static int64_t Bytes(const TileKernel& kernel, const Int8Partition& partition) {
    return RoundUp(
        PackedBytes(kernel, partition) + partition.strips * partition.piece_rows * kStripRows * 4,
        64);
  }
  Int8Scratch(const TileKernel& kernel, const Int8Partition& partition, std::byte* at)
      : packed(at), sums(reinterpret_cast<float*>(at + PackedBytes(kernel, partition))) {}
};

// One piece: a product's outputs for strips [strip, strip + partition.strips) and rows of x from
// top on, at most partition.piece_rows.
class StripPiece {
 public:
  StripPiece(const TileKernel& kernel, const Int8Partition& partition, const WeightProduct& product,
             int64_t strip, int64_t top)
      : kernel_(kernel),
        partition_(partition),
        w_(*product.w),
        y_(product.y.data<float>()),
        strip_(strip),
        top_(top),
        tiles_(kernel, std::min(partition.piece_rows, partition.rows - top)),
        overlaps_(kernel.LastStripOverlaps(w_)),
        direct_(partition.parts == 1 && (strip + partition.strips) * kStripRows <= w_.rows()) {}

  // x: all rows, as Interleaved() lays them out.
  void Run(const std::byte* x, const Int8Scratch& scratch) const {
    const int64_t strips = std::min(partition_.strips, CeilDiv(w_.rows(), kStripRows) - strip_);
    for (int64_t first = 0; first < partition_.blocks; first += partition_.chunk) {
      const int64_t blocks = std::min(partition_.chunk, partition_.blocks - first);
      for (int64_t s = 0; s < strips; ++s) {
        const PackedInt8 packed =
            kernel_.Pack(w_, FirstRow(strip_ + s), first, blocks, scratch.packed);
        Ahead ahead = AheadOf(strip_ + s, first, blocks);
        for (int64_t i = 0; i < tiles_.count; ++i) {
          const int64_t rows = tiles_.Rows(i);
          const std::byte* tile = x + kernel_.TileBytes(top_ + tiles_.Begin(i), partition_.blocks);
          float* sums = SumsOf(scratch, s, tiles_.Begin(i));
          const bool direct = direct_ && first + blocks == partition_.blocks;
          kernel_.Multiply(tile + kernel_.TileBytes(rows, first), rows, packed, blocks,
                           first > 0 ? sums : nullptr,
                           direct ? RowOfY(strip_ + s, tiles_.Begin(i)) : sums,
                           direct ? w_.rows() : kStripRows, ahead);
        }
      }
    }
    if (direct_) return;
    // Row by row: outputs of neighbouring strips are adjacent in y.
    for (int64_t t = 0; t < tiles_.rows; t += partition_.parts) {
      for (int64_t s = 0; s < strips; ++s) Write(strip_ + s, t, SumsOf(scratch, s, t));
    }
  }

 private:
  int64_t FirstRow(int64_t strip) const {
    return overlaps_ ? std::min(strip * kStripRows, w_.rows() - kStripRows) : strip * kStripRows;
  }
  float* SumsOf(const Int8Scratch& scratch, int64_t strip, int64_t row) const {
    return scratch.sums + (strip * partition_.piece_rows + row) * kStripRows;
  }
  // With few rows of x, memory takes as long as the arithmetic. So the part of the next strip that
  // corresponds to the current blocks is prefetched.
  Ahead AheadOf(int64_t strip, int64_t first, int64_t blocks) const {
    if (partition_.rows > kFewRows * partition_.parts) return {};
    const int64_t bytes = kStripRows * RowBytes(w_.format(), w_.cols());
    const int64_t next = (strip + 1) * bytes, begin = bytes * first / partition_.blocks,
                  end = bytes * (first + blocks) / partition_.blocks;
    const Address base = AddressOf(w_.bytes().data());
    return {base + static_cast<Address>(next + begin), base + static_cast<Address>(next + end),
            CeilDiv(end - begin, 64 * blocks * tiles_.count)};
  }
  void Write(int64_t strip, int64_t t, const float* sums) const {
    const int64_t col = strip * kStripRows, cols = std::min(kStripRows, w_.rows() - col);
    WriteSums(sums, partition_.parts, overlaps_ ? kStripRows - cols : 0, cols, RowOfY(strip, t));
  }
  float* RowOfY(int64_t strip, int64_t t) const {
    return y_ + (top_ + t) / partition_.parts * w_.rows() + strip * kStripRows;
  }

  const TileKernel& kernel_;
  const Int8Partition& partition_;
  const Weight& w_;
  float* y_;
  int64_t strip_, top_;
  Tiles tiles_;
  bool overlaps_;
  bool direct_;  // the final sums are written directly to y
};

// x in the layout of StripPiece::Run: interleaved tiles, piece by piece.
Tensor Interleaved(ThreadPool& pool, Memory& memory, const TileKernel& kernel,
                   const Int8Partition& partition, std::span<const Int8Row> x) {
  const int64_t bytes = kernel.TileBytes(partition.rows, partition.blocks);
  Tensor out = Tensor::Make(memory, {bytes}, DType::kU8);
  const double moved = 4.0 * static_cast<double>(out.bytes());
  for (int64_t top = 0; top < partition.rows; top += partition.piece_rows) {
    const Tiles tiles(kernel, std::min(partition.piece_rows, partition.rows - top));
    ForPieces(pool, moved, tiles.count, [&](int64_t i, int) {
      const int64_t row = top + tiles.Begin(i);
      kernel.Interleave(x.data() + row, tiles.Rows(i), partition.blocks,
                        out.raw() + kernel.TileBytes(row, partition.blocks));
    });
  }
  return out;
}

class Vnni : public TileKernel {
 public:
  Vnni()
      : TileKernel({.tile_rows = kInt8TileRows,
                    .row_block_bytes = retort::TileBytes(1, 1),
                    .packed_bytes = kPackedBlockBytes,
                    .most_blocks = 18,
                    .block_step = 1}) {}

  void Interleave(const Int8Row* x, int64_t rows, int64_t blocks, std::byte* tile) const override {
    InterleaveInt8(x, rows, blocks, tile);
  }
  bool LastStripOverlaps(const Weight& w) const override {
    return w.layout() != WeightLayout::kStrips;
  }
  PackedInt8 Pack(const Weight& w, int64_t row, int64_t first, int64_t blocks,
                  std::byte* room) const override {
    return PackInt8(w, row, first, blocks, room);
  }
  void Multiply(const std::byte* tile, int64_t rows, const PackedInt8& w, int64_t blocks,
                const float* before, float* out, int64_t stride, Ahead& ahead) const override {
    MultiplyInt8(tile, rows, w, blocks, before, out, stride, ahead);
  }
};

}  // namespace

const TileKernel& VnniTiles() {
  RETORT_CHECK(CpuHasVnni());
  static const Vnni kernel;
  return kernel;
}

void Int8PanelForward(ThreadPool& pool, Memory& memory, const TileKernel& kernel, const Int8Rows& x,
                      std::span<WeightProduct> products) {
  const Int8Partition partition(kernel, x, products[0].w->cols() / kBlockValues);
  const Tensor tiles = Interleaved(pool, memory, kernel, partition, x.rows());
  const int64_t scratch_bytes = Int8Scratch::Bytes(kernel, partition);
  const Tensor scratches = Tensor::Make(memory, {pool.threads(), scratch_bytes}, DType::kU8);
  int64_t pieces = 0, outputs = 0;
  for (const WeightProduct& p : products) {
    pieces += partition.Pieces(*p.w);
    outputs += p.w->rows();
  }
  const double operations = 2.0 *
                            static_cast<double>(partition.rows * partition.blocks * kBlockValues) *
                            static_cast<double>(outputs);
  ForPieces(pool, operations, pieces, [&](int64_t piece, int worker) {
    const WeightProduct* p = products.data();
    for (; piece >= partition.Pieces(*p->w); ++p) piece -= partition.Pieces(*p->w);
    const int64_t strip = piece / partition.row_pieces * partition.strips;
    const Int8Scratch scratch(kernel, partition, scratches.raw() + worker * scratch_bytes);
    StripPiece(kernel, partition, *p, strip, piece % partition.row_pieces * partition.piece_rows)
        .Run(tiles.raw(), scratch);
  });
}

}  // namespace retort
