// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/int8_panels.h"

#include <algorithm>
#include <cstring>

#include "tensor/cpu/int8_tile.h"
#include "tensor/cpu/products.h"

namespace retort {
namespace {

constexpr int64_t kMostRows = 85 * kInt8TileRows;  // of a piece: its sums stay in the L2
constexpr int64_t kFewRows = 32;

// How a round is cut: by its shape alone.
struct Cut {
  int64_t rows, blocks, parts;  // Int8Rows: so many rows after another add up to one of y
  int64_t piece_rows, row_pieces;
  int64_t chunk;   // blocks that are packed at a time
  int64_t strips;  // of a piece; more of them read the activations less often from afar

  Cut(const Int8Rows& x, int64_t x_blocks) : rows(std::ssize(x.rows())), blocks(x_blocks), parts(x.parts()) {
    row_pieces = CeilDiv(rows, kMostRows);
    piece_rows = RoundUp(CeilDiv(rows, row_pieces), parts);
    chunk = std::min<int64_t>(blocks, 16);  // what is packed stays in the L1
    strips = TileBytes(piece_rows, blocks) > (1 << 20) ? 4 : 1;
  }
  int64_t Pieces(const Weight& w) const {
    return CeilDiv(CeilDiv(w.rows(), kInt8Cols), strips) * row_pieces;
  }
};

// Tiles of nearly the same number of rows: [Begin(i), Begin(i + 1)) of `rows`.
struct Tiles {
  int64_t rows, count;
  explicit Tiles(int64_t n) : rows(n), count(CeilDiv(n, kInt8TileRows)) {}
  int64_t Begin(int64_t i) const { return rows * i / count; }
  int64_t Rows(int64_t i) const { return Begin(i + 1) - Begin(i); }
};

// A worker's work space.
struct Room {
  PackedInt8 packed;
  float* sums;  // [strips, piece_rows, kInt8Cols]

  static int64_t Bytes(const Cut& cut) {
    return RoundUp(cut.chunk * kPackedBlockBytes + cut.strips * cut.piece_rows * kInt8Cols * 4, 64);
  }
  Room(const Cut& cut, std::byte* at) {
    packed.bytes = at;
    packed.scales = reinterpret_cast<float*>(at + cut.chunk * kInt8Cols * kBlockValues);
    sums = packed.scales + cut.chunk * kInt8Cols;
    packed.halves =
        reinterpret_cast<uint16_t*>(sums + cut.strips * cut.piece_rows * kInt8Cols);
  }
};

// One product's outputs of strips [strip, strip + cut.strips) for rows [top, top + rows) of x.
class StripPiece {
 public:
  StripPiece(const Cut& cut, const LinearProduct& product, int64_t strip, int64_t top)
      : cut_(cut), w_(*product.w), y_(product.y.data<float>()), strip_(strip), top_(top),
        tiles_(std::min(cut.piece_rows, cut.rows - top)) {}

  // x: all rows, interleaved in tiles piece by piece.
  void Run(const std::byte* x, const Room& room) const {
    const int64_t strips = std::min(cut_.strips, CeilDiv(w_.rows(), kInt8Cols) - strip_);
    for (int64_t first = 0; first < cut_.blocks; first += cut_.chunk) {
      const int64_t blocks = std::min(cut_.chunk, cut_.blocks - first);
      for (int64_t s = 0; s < strips; ++s) {
        PackInt8(w_, FirstRow(strip_ + s), first, blocks, room.packed);
        Ahead ahead = AheadOf(strip_ + s, first, blocks);
        for (int64_t i = 0; i < tiles_.count; ++i) {
          const int64_t rows = tiles_.Rows(i);
          const std::byte* tile = x + TileBytes(top_ + tiles_.Begin(i), cut_.blocks);
          MultiplyInt8(tile + TileBytes(rows, first), rows, room.packed, blocks, first > 0,
                       SumsOf(room, s, tiles_.Begin(i)), ahead);
        }
      }
    }
    // Row by row: the strips' parts of one lie together.
    for (int64_t t = 0; t < tiles_.rows; t += cut_.parts) {
      for (int64_t s = 0; s < strips; ++s) Write(strip_ + s, t, SumsOf(room, s, t));
    }
  }

 private:
  // The last strip reaches back into the one before.
  int64_t FirstRow(int64_t strip) const {
    return std::min(strip * kInt8Cols, w_.rows() - kInt8Cols);
  }
  float* SumsOf(const Room& room, int64_t strip, int64_t row) const {
    return room.sums + (strip * cut_.piece_rows + row) * kInt8Cols;
  }
  // With few rows memory takes as long as the arithmetic: of the next strip as large a part as this one's at hand.
  Ahead AheadOf(int64_t strip, int64_t first, int64_t blocks) const {
    if (cut_.rows > kFewRows * cut_.parts) return {nullptr, nullptr, 0};
    const int64_t bytes = kInt8Cols * RowBytes(w_.format(), w_.cols());
    const std::byte* next = w_.bytes().data() + (strip + 1) * bytes;
    const int64_t begin = bytes * first / cut_.blocks, end = bytes * (first + blocks) / cut_.blocks;
    return {next + begin, next + end, CeilDiv(end - begin, 64 * blocks * tiles_.count)};
  }
  void Write(int64_t strip, int64_t t, const float* sums) const {
    const int64_t col = strip * kInt8Cols, cols = std::min(kInt8Cols, w_.rows() - col);
    float row[kInt8Cols];
    if (cut_.parts == 2) {
      for (int64_t n = 0; n < kInt8Cols; ++n) row[n] = sums[n] + sums[kInt8Cols + n];
      sums = row;
    }
    float* y = y_ + (top_ + t) / cut_.parts * w_.rows() + col;
    if (cols == kInt8Cols) {
      std::memcpy(y, sums, sizeof row);  // of a constant size: no call
    } else {
      std::copy_n(sums + kInt8Cols - cols, cols, y);
    }
  }

  const Cut& cut_;
  const Weight& w_;
  float* y_;
  int64_t strip_, top_;
  Tiles tiles_;
};

// x as StripPiece::Run wants it.
Tensor Interleaved(ThreadPool& pool, Memory& memory, const Cut& cut, std::span<const Int8Row> x) {
  Tensor out = Tensor::Make(memory, {TileBytes(cut.rows, cut.blocks)}, DType::kU8);
  const double moved = 4.0 * static_cast<double>(out.bytes());
  for (int64_t top = 0; top < cut.rows; top += cut.piece_rows) {
    const Tiles tiles(std::min(cut.piece_rows, cut.rows - top));
    ForPieces(pool, moved, tiles.count, [&](int64_t i, int) {
      const int64_t row = top + tiles.Begin(i);
      InterleaveInt8(x.data() + row, tiles.Rows(i), cut.blocks,
                     out.raw() + TileBytes(row, cut.blocks));
    });
  }
  return out;
}

}  // namespace

bool FitsInt8Panels(const Weight& w) { return w.rows() >= kInt8Cols; }

void Int8PanelForward(ThreadPool& pool, Memory& memory, const Int8Rows& x,
                      std::span<LinearProduct> products) {
  RETORT_CHECK(CpuHasVnni());
  const Cut cut(x, products[0].w->cols() / kBlockValues);
  const Tensor tiles = Interleaved(pool, memory, cut, x.rows());
  const int64_t room_bytes = Room::Bytes(cut);
  const Tensor rooms = Tensor::Make(memory, {pool.threads(), room_bytes}, DType::kU8);
  int64_t pieces = 0, outputs = 0;
  for (const LinearProduct& p : products) {
    pieces += cut.Pieces(*p.w);
    outputs += p.w->rows();
  }
  const double operations = 2.0 * static_cast<double>(cut.rows * cut.blocks * kBlockValues) *
                            static_cast<double>(outputs);
  ForPieces(pool, operations, pieces, [&](int64_t piece, int worker) {
    const LinearProduct* p = products.data();
    for (; piece >= cut.Pieces(*p->w); ++p) piece -= cut.Pieces(*p->w);
    const int64_t strip = piece / cut.row_pieces * cut.strips;
    StripPiece(cut, *p, strip, piece % cut.row_pieces * cut.piece_rows)
        .Run(tiles.raw(), Room(cut, rooms.raw() + worker * room_bytes));
  });
}

}  // namespace retort
