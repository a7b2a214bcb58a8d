// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/int8_panels.h"

#include <algorithm>

#include "tensor/cpu/fetch.h"
#include "tensor/cpu/int8_stream.h"
#include "tensor/cpu/int8_tile.h"
#include "tensor/cpu/products.h"

namespace retort {
namespace {

constexpr int64_t kMostRows = 85 * kInt8TileRows;  // per piece: its sums fit in the L2
constexpr int64_t kFewRows = 32;
constexpr int64_t kMostBlocks = 18;  // packed at a time: they fit in the L1

// The division of a parallel pass into pieces. Depends on the shape alone.
struct Partition {
  int64_t rows, blocks, parts;  // the sum of `parts` consecutive Int8Rows is one row of y
  int64_t piece_rows, row_pieces;
  int64_t chunk;   // blocks packed at a time
  int64_t strips;  // per piece; with more of them, activations are read less often from far caches

  Partition(const Int8Rows& x, int64_t x_blocks)
      : rows(std::ssize(x.rows())), blocks(x_blocks), parts(x.parts()) {
    row_pieces = CeilDiv(rows, kMostRows);
    piece_rows = RoundUp(CeilDiv(rows, row_pieces), parts);
    chunk = CeilDiv(blocks, CeilDiv(blocks, kMostBlocks));
    strips = TileBytes(piece_rows, blocks) > (1 << 20) ? 4 : 1;
  }
  int64_t Pieces(const Weight& w) const {
    return CeilDiv(CeilDiv(w.rows(), kStripRows), strips) * row_pieces;
  }
};

// Divides `rows` into tiles of nearly equal size: tile i is rows [Begin(i), Begin(i + 1)).
struct Tiles {
  int64_t rows, count;
  explicit Tiles(int64_t n) : rows(n), count(CeilDiv(n, kInt8TileRows)) {}
  int64_t Begin(int64_t i) const { return rows * i / count; }
  int64_t Rows(int64_t i) const { return Begin(i + 1) - Begin(i); }
};

// A worker's work space.
struct Scratch {
  std::byte* packed;
  float* sums;  // [strips, piece_rows, kStripRows]

  static int64_t Bytes(const Partition& partition) {
    return RoundUp(partition.chunk * kPackedBlockBytes +
                       partition.strips * partition.piece_rows * kStripRows * 4,
                   64);
  }
  Scratch(const Partition& partition, std::byte* at)
      : packed(at), sums(reinterpret_cast<float*>(at + partition.chunk * kPackedBlockBytes)) {}
};

// One piece: a product's outputs for strips [strip, strip + partition.strips) and rows of x from
// top on, at most partition.piece_rows.
class StripPiece {
 public:
  StripPiece(const Partition& partition, const WeightProduct& product, int64_t strip, int64_t top)
      : partition_(partition),
        w_(*product.w),
        y_(product.y.data<float>()),
        strip_(strip),
        top_(top),
        tiles_(std::min(partition.piece_rows, partition.rows - top)),
        in_strips_(w_.layout() == WeightLayout::kStrips),
        direct_(partition.parts == 1 && (strip + partition.strips) * kStripRows <= w_.rows()) {}

  // x: all rows, interleaved by Interleaved().
  void Run(const std::byte* x, const Scratch& scratch) const {
    const int64_t strips = std::min(partition_.strips, CeilDiv(w_.rows(), kStripRows) - strip_);
    for (int64_t first = 0; first < partition_.blocks; first += partition_.chunk) {
      const int64_t blocks = std::min(partition_.chunk, partition_.blocks - first);
      for (int64_t s = 0; s < strips; ++s) {
        const PackedInt8 packed = PackInt8(w_, FirstRow(strip_ + s), first, blocks, scratch.packed);
        Ahead ahead = AheadOf(strip_ + s, first, blocks);
        for (int64_t i = 0; i < tiles_.count; ++i) {
          const int64_t rows = tiles_.Rows(i);
          const std::byte* tile = x + TileBytes(top_ + tiles_.Begin(i), partition_.blocks);
          float* sums = SumsOf(scratch, s, tiles_.Begin(i));
          const bool direct = direct_ && first + blocks == partition_.blocks;
          MultiplyInt8(tile + TileBytes(rows, first), rows, packed, blocks,
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
  // For weights in rows, the last strip overlaps the one before so that all its rows exist.
  int64_t FirstRow(int64_t strip) const {
    return in_strips_ ? strip * kStripRows : std::min(strip * kStripRows, w_.rows() - kStripRows);
  }
  float* SumsOf(const Scratch& scratch, int64_t strip, int64_t row) const {
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
    WriteSums(sums, partition_.parts, in_strips_ ? 0 : kStripRows - cols, cols, RowOfY(strip, t));
  }
  float* RowOfY(int64_t strip, int64_t t) const {
    return y_ + (top_ + t) / partition_.parts * w_.rows() + strip * kStripRows;
  }

  const Partition& partition_;
  const Weight& w_;
  float* y_;
  int64_t strip_, top_;
  Tiles tiles_;
  bool in_strips_;
  bool direct_;  // the final sums are written directly to y
};

// x in the layout of StripPiece::Run: tiles interleaved by InterleaveInt8, piece by piece.
Tensor Interleaved(ThreadPool& pool, Memory& memory, const Partition& partition,
                   std::span<const Int8Row> x) {
  Tensor out = Tensor::Make(memory, {TileBytes(partition.rows, partition.blocks)}, DType::kU8);
  const double moved = 4.0 * static_cast<double>(out.bytes());
  for (int64_t top = 0; top < partition.rows; top += partition.piece_rows) {
    const Tiles tiles(std::min(partition.piece_rows, partition.rows - top));
    ForPieces(pool, moved, tiles.count, [&](int64_t i, int) {
      const int64_t row = top + tiles.Begin(i);
      InterleaveInt8(x.data() + row, tiles.Rows(i), partition.blocks,
                     out.raw() + TileBytes(row, partition.blocks));
    });
  }
  return out;
}

}  // namespace

void Int8PanelForward(ThreadPool& pool, Memory& memory, const Int8Rows& x,
                      std::span<WeightProduct> products) {
  RETORT_CHECK(CpuHasVnni());
  if (Streams(x, products)) return StreamForward(pool, memory, x, products);
  const Partition partition(x, products[0].w->cols() / kBlockValues);
  const Tensor tiles = Interleaved(pool, memory, partition, x.rows());
  const int64_t scratch_bytes = Scratch::Bytes(partition);
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
    StripPiece(partition, *p, strip, piece % partition.row_pieces * partition.piece_rows)
        .Run(tiles.raw(), Scratch(partition, scratches.raw() + worker * scratch_bytes));
  });
}

}  // namespace retort
