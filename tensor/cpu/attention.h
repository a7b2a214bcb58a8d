// SPDX-License-Identifier: Apache-2.0
// Shared by attention's forward and backward kernels: the division of a batch into tiles, the range
// of keys of a query, and reading keys from their blocks.
//
// A work item is a tile of queries of one run, with all the query heads that share one key head,
// against that head's keys in tiles of kTileKeys. Scores are stored transposed, [keys, rows]: a row
// is one query of one head, and each vector lane holds one row. So the softmax needs no sum across
// lanes, and K is read without transposing.
#pragma once

#include <algorithm>
#include <new>
#include <type_traits>

#include "base/rounding.h"
#include "tensor/backend.h"
#include "tensor/cpu/loops.h"
#include "tensor/cpu/simd.h"
#include "tensor/cpu/soft_cap.h"

namespace retort {

inline constexpr int64_t kTileKeys = 64;
inline constexpr int64_t kTileRows = 64;  // more only if a group of heads is larger

// Rows of tiles are stored in buffers padded for the widest vectors, so that kernels of any vector
// width work on whole vectors.
constexpr int64_t RoundedDown(int64_t n, int64_t multiple) { return n / multiple * multiple; }
constexpr int64_t Padded(int64_t n) { return RoundUp(n, 16); }

struct AttentionGeometry {
  int64_t heads, kv_heads, group, dim;  // group = heads / kv_heads
  int64_t tile_queries, tile_rows;      // of a full tile; tile_rows is padded
  int64_t padded_dim;
  int64_t key_row, key_head;  // strides in elements: to the next key, and to the next key head
  float scale, soft_cap;      // soft_cap 0: none
  int64_t window;             // 0: none
  const AttentionLayout* layout;

  AttentionGeometry(const AttentionShape& shape, const AttentionLayout& l, const Shape& keys)
      : heads(shape.heads),
        kv_heads(shape.kv_heads),
        group(heads / kv_heads),
        dim(shape.head_dim),
        tile_queries(std::max<int64_t>(1, kTileRows / group)),
        tile_rows(Padded(tile_queries * group)),
        padded_dim(Padded(dim)),
        key_row(keys.rank() == 4 ? dim : kv_heads * dim),
        key_head(keys.rank() == 4 ? keys[2] * dim : dim),
        scale(shape.scale),
        soft_cap(shape.soft_cap),
        window(shape.window),
        layout(&l) {}

  // The offset, in elements, of a head's first row in the block that begins at row `block_row` of
  // keys and values.
  int64_t BlockOffset(int64_t block_row, int64_t kv_head) const {
    return block_row * kv_heads * dim + kv_head * key_head;
  }
  int64_t Tiles(const AttentionRun& run) const {  // 0 for a single query: DecodeForward
    return run.queries == 1 ? 0 : (run.queries + tile_queries - 1) / tile_queries;
  }
};

// Queries [begin, begin + count) of a run with the heads of one group.
struct QueryTile {
  const AttentionGeometry* geometry;
  const AttentionRun* run;
  int64_t kv_head, begin, count;

  int64_t rows() const { return count * geometry->group; }
  int64_t position(int64_t query) const { return run->first_position + begin + query; }
  // The token and head of row r, and its offset in a [T, H * D] tensor and in a [T, H] tensor.
  int64_t Token(int64_t r) const { return run->first_query + begin + r / geometry->group; }
  int64_t Head(int64_t r) const { return kv_head * geometry->group + r % geometry->group; }
  int64_t Offset(int64_t r) const { return (Token(r) * geometry->heads + Head(r)) * geometry->dim; }
  int64_t StatOffset(int64_t r) const { return Token(r) * geometry->heads + Head(r); }
  // The keys of query i, inclusive: [FirstKey(i), LastKey(i)].
  int64_t FirstKey(int64_t query) const {
    return geometry->window ? std::max<int64_t>(0, position(query) - geometry->window + 1) : 0;
  }
  int64_t LastKey(int64_t query) const { return position(query); }
  // Whether no query of the tile masks any key of [first, end).
  bool SeesAll(int64_t first, int64_t end) const {
    return FirstKey(count - 1) <= first && end - 1 <= LastKey(0);
  }
};

// Offsets in elements, within a key or value tensor, of one head of keys [first, first + count),
// count <= kTileKeys.
struct KeyOffsets {
  int64_t at[kTileKeys];
  int64_t count;
  bool consecutive;  // each row follows the one before at distance key_row

  KeyOffsets(const AttentionGeometry& g, const AttentionRun& run, int64_t kv_head, int64_t first,
             int64_t n)
      : count(n) {
    const AttentionLayout& layout = *g.layout;
    const int32_t* block =
        &layout.block_rows[static_cast<size_t>(run.first_block + first / layout.block_size)];
    for (int64_t i = 0, in_block = first % layout.block_size; i < n; ++i, ++in_block) {
      if (in_block == layout.block_size) ++block, in_block = 0;
      at[i] = g.BlockOffset(*block, kv_head) + in_block * g.key_row;
    }
    consecutive = true;
    for (int64_t i = 1; i < n; ++i) consecutive &= at[i] == at[i - 1] + g.key_row;
  }
};

// Begins n integers in a work space of floats.
inline int32_t* IntegersAt(float* at, int64_t n) {
  return ::new (static_cast<void*>(at)) int32_t[static_cast<size_t>(n)];
}

// Copies D values times `factor`, padded with zeros to whole vectors.
template <int W, class T>
RETORT_INLINE void CopyRow(const T* from, int64_t dim, float factor, float* to) {
  int64_t d = 0;
  for (; d + W <= dim; d += W) Store<W>(to + d, Load<W>(from + d) * factor);
  if (d < dim) Store<W>(to + d, Load<W>(from + d, FirstLanes{dim - d}) * factor);
}

// Rows of D floats, padded to whole vectors: the tensor in place if possible, else a copy.
struct KeyRows {
  const float* data;
  int64_t row;
};
template <int W, class T>
RETORT_INLINE KeyRows ReadKeys(const AttentionGeometry& g, const T* base, const KeyOffsets& keys,
                               float* copy) {
  if constexpr (std::is_same_v<T, float>) {
    if (keys.consecutive && g.dim % W == 0) return {base + keys.at[0], g.key_row};
  }
  for (int64_t i = 0; i < keys.count; ++i)
    CopyRow<W>(base + keys.at[i], g.dim, 1, copy + i * g.padded_dim);
  return {copy, g.padded_dim};
}

// Applies the layer's soft cap, if it has one, to n scores.
template <int W>
RETORT_INLINE void CapScores(const AttentionGeometry& g, float* scores, int64_t n) {
  if (g.soft_cap > 0) ForLanes<W>(SoftCapOp{scores, g.soft_cap}, 0, n);
}

struct ForwardTensors {
  const float* q;
  const void *keys, *values;  // of type T
  float *out, *log_sum;
};
// The forward kernel for runs of a single query.
template <class T>
void DecodeForward(ThreadPool& pool, Isa isa, Memory& memory, const AttentionGeometry& g,
                   const ForwardTensors& x);

}  // namespace retort
