// SPDX-License-Identifier: Apache-2.0
// Products of attention's tiles on the tensor cores: operands in bf16, sums in f32. A block has
// four warps, each with 16 rows of a tile of 64. Those rows, as left operands, stay in registers
// (in shared memory where registers do not suffice); the other side comes in tiles of 32 rows
// through shared memory, the next tile's copies under way while this one is computed. A product's
// result is the left operand of the next without leaving the registers, because both have the same
// layout.
#pragma once

#include <type_traits>

#include "tensor/cuda/attention_view.h"
#include "tensor/cuda/reduce.h"

namespace retort::cuda {

inline constexpr int kMmaThreads = 128;
inline constexpr int kMmaRows = 32;  // of a tile in shared memory
// Tiles whose offsets are looked up at once, and their rows: a thread of the block looks up one.
inline constexpr int kPlacedTiles = 4, kPlacedRows = kPlacedTiles * kMmaRows;
static_assert(kMmaThreads / kWarp * 16 == kTile);

// Heads of up to kNarrow columns have the rows of their warp in registers; those of wider heads
// stay in shared memory.
inline constexpr int kNarrow = 128, kWide = 256;

// A row in shared memory: an odd number of 16 bytes, so that LoadTiles meets no bank twice.
template <int kDim>
inline constexpr int kMmaRow = kDim + 8;
template <int kDim>
inline constexpr int kMmaTile = kMmaRows* kMmaRow<kDim>;
template <int kDim>
inline constexpr int kLeftTile = kTile* kMmaRow<kDim>;  // of a block's own rows
// The bytes of such tiles in dynamic shared memory.
template <int kDim>
inline constexpr int64_t MmaBytes(int tiles, int left_tiles) {
  return int64_t{2} * (tiles * kMmaTile<kDim> + left_tiles * kLeftTile<kDim>);
}

// A warp's 16 rows as left operands, and its products with 32 rows or sums of kDim columns.
template <int kDim>
using Fragments = uint32_t[kDim / 16][4];
template <int kColumns>
using Products = float[kColumns / 8][4];

// A thread's products p[n]: p[n][0] and p[n][1] are of row LaneRow() of the tile, columns
// 8n + LaneColumn() and the next; p[n][2] and p[n][3] the same of row LaneRow() + 8.
__device__ inline int Lane() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ inline int WarpRow() { return static_cast<int>(threadIdx.x) / kWarp % 4 * 16; }
__device__ inline int LaneRow() { return WarpRow() + Lane() / 4; }
__device__ inline int LaneColumn() { return Lane() % 4 * 2; }

template <int kColumns>
__device__ void Clear(Products<kColumns>& p) {
  for (int n = 0; n < kColumns / 8; ++n)
    for (int i = 0; i < 4; ++i) p[n][i] = 0;
}

// Two neighbouring values of a row; zeros where there are none.
__device__ inline uint32_t PairAt(Global<const BF16> x, int64_t offset, int column, int dim) {
  if (offset < 0 || column >= dim) return 0;
  return As<uint32_t>(x + (offset + column))[0];
}
// The rows at offsets `low` (LaneRow) and `high` (LaneRow + 8), negative for none.
template <int kDim>
__device__ void LoadFragments(Global<const BF16> x, int64_t low, int64_t high, int dim,
                              Fragments<kDim>& to) {
#pragma unroll
  for (int step = 0; step < kDim / 16; ++step) {
    const int column = step * 16 + LaneColumn();
    to[step][0] = PairAt(x, low, column, dim);
    to[step][1] = PairAt(x, high, column, dim);
    to[step][2] = PairAt(x, low, column + 8, dim);
    to[step][3] = PairAt(x, high, column + 8, dim);
  }
}

// Begins to load a tile. bf16 is copied while the threads go on.
template <int kDim, int kRows = kMmaRows, class T>
__device__ void LoadTile(const TileRows<T>& rows, int dim, Shared<BF16> tile) {
  constexpr int kPieces = kDim / 8;
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kPieces;
       i += static_cast<int>(blockDim.x)) {
    const int row = i / kPieces, column = i % kPieces * 8;
    const int64_t offset = rows.offsets[row];
    const bool valid = offset >= 0 && column < dim;
    const Global<const T> from = rows.at + (valid ? offset + column : 0);
    const Shared<BF16> to = tile + (row * kMmaRow<kDim> + column);
    if constexpr (std::is_same_v<T, BF16>) {
      CopyAsync16(to, from, valid);
    } else {
      Vector<BF16, 8> rounded = {};
      if (valid) {
        const Vector<T, 8> values = LoadVector<8>(from);
        for (int j = 0; j < 8; ++j) rounded.value[j] = Narrow<BF16>(Widen(values.value[j]));
      }
      StoreVector<8>(to, rounded);
    }
  }
}

// Where the offsets of tile n are, of two groups of tiles in turn.
__device__ inline int PlaceOf(int n) {
  return n / kPlacedTiles % 2 * kPlacedRows + n % kPlacedTiles * kMmaRows;
}
// For tiles n = 0 ... count - 1: place(n) writes the offsets of the group of tiles that begins with
// n, load(n) begins to load tile n, and body(n) computes with it. Tiles are in two slots, n % 2.
template <class Place, class Load, class Body>
__device__ void ForTiles(int count, const Place& place, const Load& load, const Body& body) {
  if (count == 0) {  // the block's own rows alone
    CommitCopies();
    return WaitCopies<0>();
  }
  place(0);
  __syncthreads();
  load(0);
  CommitCopies();
  for (int n = 0; n < count; ++n) {
    const int next = n + 1;
    if (next < count && next % kPlacedTiles == 0) place(next);
    WaitCopies<0>();
    __syncthreads();
    if (next < count) load(next);
    CommitCopies();
    body(n);
  }
}

// The keys and values that a query tile may see, tile by tile, in two slots of a tile each in turn:
// body(first key, key tile, value tile). offsets [2 * kPlacedRows].
template <int kDim, class T, class Body>
__device__ void ForKeyTiles(const AttentionView& view, const QueryTile& tile, Global<const T> keys,
                            Global<const T> values, const Shared<int64_t>& offsets,
                            const Shared<BF16>& key_tiles, const Shared<BF16>& value_tiles,
                            const Body& body) {
  const int begin = tile.BeginKey(view), end = tile.EndKey(view);
  const int first = begin / kMmaRows * kMmaRows;
  const auto place = [&](int n) {
    KeyOffsets<kPlacedRows>(view, tile.run, first + n * kMmaRows, begin, end, tile.kv_head,
                            offsets + PlaceOf(n));
  };
  const auto load = [&](int n) {
    const Shared<int64_t> rows = offsets + PlaceOf(n);
    LoadTile<kDim>(TileRows<T>{keys, rows}, view.dim, key_tiles + n % 2 * kMmaTile<kDim>);
    LoadTile<kDim>(TileRows<T>{values, rows}, view.dim, value_tiles + n % 2 * kMmaTile<kDim>);
  };
  ForTiles((end - first + kMmaRows - 1) / kMmaRows, place, load, [&](int n) {
    body(first + n * kMmaRows, key_tiles + n % 2 * kMmaTile<kDim>,
         value_tiles + n % 2 * kMmaTile<kDim>);
  });
}

// A warp's 16 rows as left operands in shared memory.
template <int kDim>
struct SharedFragments {
  Shared<BF16> rows;
};
template <int kDim>
__device__ void LeftAt(const Fragments<kDim>& from, int step, uint32_t (&left)[4]) {
  for (int i = 0; i < 4; ++i) left[i] = from[step][i];
}
template <int kDim>
__device__ void LeftAt(const SharedFragments<kDim>& from, int step, uint32_t (&left)[4]) {
  LoadTiles<false>(left, from.rows + (Lane() % 16 * kMmaRow<kDim> + step * 16 + Lane() / 16 * 8));
}

// As which of the two a kernel has its own rows.
template <int kDim>
using Left = std::conditional_t<(kDim > kNarrow), SharedFragments<kDim>, Fragments<kDim>>;
// Begins to load the warp's rows of 64. `space` is for those of wide heads, which are there when
// the copies are done and a barrier has passed.
template <int kDim>
__device__ void LoadLeft(const TileRows<BF16>& rows, int dim, Shared<BF16> space,
                         Left<kDim>& left) {
  if constexpr (kDim > kNarrow) {
    LoadTile<kDim, kTile>(rows, dim, space);
    left.rows = space + WarpRow() * kMmaRow<kDim>;
  } else {
    LoadFragments<kDim>(rows.at, rows.offsets[LaneRow()], rows.offsets[LaneRow() + 8], dim, left);
  }
}

// products = left rows times the rows of a tile.
template <int kDim, class Rows>
__device__ void MultiplyRows(const Rows& left, Shared<BF16> tile, Products<kMmaRows>& products) {
  Clear<kMmaRows>(products);
  const int row = Lane() / 16 * 8 + Lane() % 8, column = Lane() / 8 % 2 * 8;
#pragma unroll
  for (int step = 0; step < kDim / 16; ++step) {
    uint32_t rows[4];
    LeftAt<kDim>(left, step, rows);
#pragma unroll
    for (int n = 0; n < kMmaRows / 8; n += 2) {
      uint32_t right[4];
      LoadTiles<false>(right, tile + ((n * 8 + row) * kMmaRow<kDim> + step * 16 + column));
      const uint32_t first[2] = {right[0], right[1]}, second[2] = {right[2], right[3]};
      MultiplyTiles(products[n], rows, first);
      MultiplyTiles(products[n + 1], rows, second);
    }
  }
}

// sums += weights times kColumns columns of a tile's rows, from `tile` on.
template <int kDim, int kColumns = kDim>
__device__ void AddRows(const Products<kMmaRows>& weights, Shared<BF16> tile,
                        Products<kColumns>& sums) {
  const int row = Lane() % 16, column = Lane() / 16 * 8;
#pragma unroll
  for (int step = 0; step < kMmaRows / 16; ++step) {
    const float(&low)[4] = weights[step * 2], (&high)[4] = weights[step * 2 + 1];
    const uint32_t left[4] = {PackPair(low[0], low[1]), PackPair(low[2], low[3]),
                              PackPair(high[0], high[1]), PackPair(high[2], high[3])};
#pragma unroll
    for (int n = 0; n < kColumns / 8; n += 2) {
      uint32_t right[4];
      LoadTiles<true>(right, tile + ((step * 16 + row) * kMmaRow<kDim> + n * 8 + column));
      const uint32_t first[2] = {right[0], right[1]}, second[2] = {right[2], right[3]};
      MultiplyTiles(sums[n], left, first);
      MultiplyTiles(sums[n + 1], left, second);
    }
  }
}

// put(place, value) for the thread's sums of the rows that are there, of their first `dim` columns.
template <int kColumns, class Put>
__device__ void PutRows(const Products<kColumns>& sums, Shared<int64_t> offsets, int dim,
                        const Put& put) {
  const int64_t low = offsets[LaneRow()], high = offsets[LaneRow() + 8];
#pragma unroll
  for (int n = 0; n < kColumns / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int column = n * 8 + i % 2;
      const int64_t offset = i < 2 ? low : high;
      if (offset >= 0 && column + LaneColumn() < dim) {
        put(offset + LaneColumn() + int64_t{column}, sums[n][i]);
      }
    }
  }
}

// The shared memory that a block for wide heads needs at most, with 5 KiB of offsets and sums.
inline constexpr int64_t kWideBytes = MmaBytes<kWide>(4, 2) + 5 * 1024;

// call with the number of columns that kernels for heads of this width have.
template <class Call>
void WithMmaColumns(int dim, const Call& call) {
  if (dim <= 32) return call.template operator()<32>();
  if (dim <= 64) return call.template operator()<64>();
  if (dim <= 96) return call.template operator()<96>();
  if (dim <= kNarrow) return call.template operator()<kNarrow>();
  return call.template operator()<kWide>();
}

}  // namespace retort::cuda
