// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "tensor/cpu/products.h"
#include "tensor/quant/decode.h"

namespace retort {
namespace {

constexpr int64_t kPanelBytes = 160 << 10;  // of a panel that are packed at a time: they stay in the L2
constexpr int64_t kKeptBytes = 512 << 10;   // of a whole panel that a worker keeps for its next rows
constexpr int64_t kRowBlock = 1024;         // rows for which a panel is decoded once
constexpr int64_t kLeastRows = 64;          // for which decoding a panel again is cheap enough
constexpr int64_t kPieces = 32;             // of a round at least, where there are rows enough; half of it
                                            // where each of them decodes its panel again

// How a depth is cut: evenly, into chunks of whole kDepthSteps.
int64_t ChunkOf(const BlockGemm& gemm, int64_t depth) {
  const int64_t most = kPanelBytes / kPanel / SizeOf(gemm.type());
  return RoundUp(CeilDiv(depth, CeilDiv(depth, most)), kDepthStep);
}

// A term's left factor, for rows [begin, begin + rows): f32 as it lies, bf16 converted and padded,
// chunk by chunk of the depth, each [padded rows, padded chunk] dense.
class LeftFactor {
 public:
  LeftFactor(const ProductContext& context, const PanelTerm& term, int64_t begin, int64_t rows)
      : floats_(term.a + begin * term.depth), depth_(term.depth) {
    if (context.gemm.type() == DType::kF32) return;
    const int64_t step = context.gemm.row_step();
    chunk_ = ChunkOf(context.gemm, depth_);
    rows_ = RoundUp(rows, step);
    packed_ = Tensor::Make(context.memory, {rows_, RoundUp(depth_, kDepthStep)}, DType::kBF16);
    ForPieces(context.pool, 8.0 * static_cast<double>(rows_ * depth_), CeilDiv(rows_, kPackRows),
              [&](int64_t piece, int) {
                const int64_t end = std::min(rows_, (piece + 1) * kPackRows);
                for (int64_t t = piece * kPackRows; t < end; ++t) PackRow(context.isa, t, t < rows);
              });
  }

  // Rows [t, ...) of the chunk that begins at depth k, and how far apart they lie.
  const std::byte* At(int64_t k, int64_t t) const {
    if (packed_) return reinterpret_cast<const std::byte*>(Packed(k, t));
    return reinterpret_cast<const std::byte*>(floats_ + t * depth_ + k);
  }
  int64_t stride(int64_t k) const { return packed_ ? Width(k) : depth_; }

 private:
  static constexpr int64_t kPackRows = 16;

  int64_t Width(int64_t k) const { return std::min(chunk_, packed_.cols() - k); }
  BF16* Packed(int64_t k, int64_t t) const {
    return packed_.data<BF16>() + rows_ * k + t * Width(k);
  }
  void PackRow(Isa isa, int64_t t, bool exists) const {
    for (int64_t k = 0; k < depth_; k += chunk_) {
      const int64_t count = exists ? std::min(chunk_, depth_ - k) : 0;
      BF16* to = Packed(k, t);
      if (count > 0) RoundToBF16(isa, floats_ + t * depth_ + k, count, to);
      std::memset(static_cast<void*>(to + count), 0,
                  static_cast<size_t>(Width(k) - count) * sizeof(BF16));
    }
  }

  const float* floats_;
  int64_t depth_, chunk_ = 0, rows_ = 0;
  Tensor packed_;
};

// Bytes of the largest packed panel of these products, all terms of it.
int64_t PackedBytes(const BlockGemm& gemm, std::span<const PanelProduct> products) {
  int64_t most = 0;
  for (const PanelProduct& p : products) {
    int64_t depth = 0;
    for (const PanelTerm& term : p.terms) depth += RoundUp(term.depth, kDepthStep);
    most = std::max(most, depth);
  }
  return most * kPanel * SizeOf(gemm.type());
}

// How the round is cut into pieces, a panel of one product times some of the rows each. A panel's
// pieces follow each other: where it can be kept, a worker packs it once for those that fall to it.
struct Cut {
  std::vector<int64_t> ends;  // of each product's panels, counted through
  int64_t height;             // rows of a piece
  int64_t groups;             // of rows
  bool keeps;

  Cut(const BlockGemm& gemm, int64_t rows, std::span<const PanelProduct> products)
      : keeps(PackedBytes(gemm, products) <= kKeptBytes) {
    int64_t panels = 0;
    for (const PanelProduct& p : products) ends.push_back(panels += CeilDiv(p.cols, kPanel));
    const int64_t wanted = CeilDiv(keeps ? kPieces : kPieces / 2, panels);
    groups = std::clamp<int64_t>(rows / kLeastRows, 1, wanted);
    height = RoundUp(CeilDiv(rows, groups), gemm.row_step());
    groups = CeilDiv(rows, height);
  }
};

// A worker's work space.
struct Room {
  std::byte *scratch, *packed;
  int64_t panel = -1;  // that lies in `packed`, counted through
};

// A panel of a product times rows [t, t + rows) of the left factors: packs each chunk of each term's
// panel and multiplies. `out` is the product's at row t. keep: chunks lie one behind the other, and
// where `packed` they do so already.
void RunPiece(const ProductContext& context, const PanelProduct& product,
              const std::map<const float*, LeftFactor>& left, int64_t panel, int64_t t, int64_t rows,
              float* out, int worker, const Room& room, bool keep, bool packed) {
  std::byte* b = room.packed;
  bool add = product.add;
  for (const PanelTerm& term : product.terms) {
    const LeftFactor& a = left.at(term.a);
    const int64_t chunk = ChunkOf(context.gemm, term.depth);
    for (int64_t k = 0; k < term.depth; k += chunk, add = true) {
      const int64_t count = std::min(chunk, term.depth - k), padded = RoundUp(count, kDepthStep);
      if (!packed) term.pack(panel, k, count, padded, room.scratch, b);
      context.gemm.Multiply(worker, {.a = a.At(k, t),
                                     .a_row = a.stride(k),
                                     .b = b,
                                     .rows = rows,
                                     .depth = RoundUp(count, context.gemm.depth_step()),
                                     .out = out + panel * kPanel,
                                     .out_row = product.cols,
                                     .cols = std::min(kPanel, product.cols - panel * kPanel),
                                     .add = add});
      if (keep) b += padded * kPanel * SizeOf(context.gemm.type());
    }
  }
}

void RunRows(const ProductContext& context, int64_t top, int64_t rows,
             std::span<const PanelProduct> products, const Tensor& space) {
  std::map<const float*, LeftFactor> left;
  double operations = 0;
  for (const PanelProduct& p : products) {
    for (const PanelTerm& term : p.terms) {
      if (!left.contains(term.a)) left.emplace(term.a, LeftFactor(context, term, top, rows));
      operations += 2.0 * static_cast<double>(rows * term.depth) * static_cast<double>(p.cols);
    }
  }
  const Cut cut(context.gemm, rows, products);
  std::vector<Room> rooms;
  for (int64_t w = 0; w < space.rows(); ++w) {
    std::byte* at = space.raw() + w * space.cols();
    rooms.push_back({at, at + kPackScratchBytes});
  }
  ForPieces(context.pool, operations, cut.ends.back() * cut.groups, [&](int64_t piece, int worker) {
    const int64_t nth = piece / cut.groups, t = piece % cut.groups * cut.height;
    const auto at = static_cast<size_t>(std::ranges::upper_bound(cut.ends, nth) - cut.ends.begin());
    const PanelProduct& p = products[at];
    Room& room = rooms[static_cast<size_t>(worker)];
    const bool packed = cut.keeps && std::exchange(room.panel, nth) == nth;
    RunPiece(context, p, left, nth - (at ? cut.ends[at - 1] : 0), t, std::min(cut.height, rows - t),
             p.out + (top + t) * p.cols, worker, room, cut.keeps, packed);
  });
}

}  // namespace

void RunPanels(const ProductContext& context, int64_t rows,
               std::span<const PanelProduct> products) {
  int64_t longest = 0;
  for (const PanelProduct& p : products) {
    for (const PanelTerm& term : p.terms) {
      const int64_t chunk = ChunkOf(context.gemm, term.depth);
      longest = std::max(longest, chunk);
      for (int64_t k = 0; k < term.depth; k += chunk) {
        context.gemm.Prepare(RoundUp(std::min(chunk, term.depth - k), kDepthStep));
      }
    }
  }
  const int64_t whole = PackedBytes(context.gemm, products);
  const int64_t packed = whole <= kKeptBytes ? whole : longest * kPanel * SizeOf(context.gemm.type());
  const Tensor space = Tensor::Make(
      context.memory, {context.pool.threads(), kPackScratchBytes + packed}, DType::kU8);
  for (int64_t top = 0; top < rows; top += kRowBlock) {
    RunRows(context, top, std::min(kRowBlock, rows - top), products, space);
  }
}

}  // namespace retort
