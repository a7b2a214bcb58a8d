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

constexpr int64_t kPanelBytes = 160 << 10;  // maximal chunk of a panel packed at a time: fits in L2
constexpr int64_t kKeptBytes = 512 << 10;   // maximal size of a panel kept whole for the next rows
constexpr int64_t kRowBlock = 1024;         // rows per parallel pass
constexpr int64_t kLeastRows = 64;          // minimal rows per piece, if there are as many
constexpr int64_t kPieces = 32;             // minimal pieces per pass, if there are enough rows
constexpr int64_t kDeepPieces = 16;         // the same if panels are not kept: each piece decodes

// The chunk size for a depth: even chunks, in multiples of kDepthStep.
int64_t ChunkOf(const BlockGemm& gemm, int64_t depth) {
  const int64_t most = kPanelBytes / kPanel / SizeOf(gemm.type());
  return RoundUp(CeilDiv(depth, CeilDiv(depth, most)), kDepthStep);
}

// A term's left factor, rows [begin, begin + rows). f32 is used in place; bf16 is converted, and
// stored chunk by chunk of the depth, each [padded rows, padded chunk] dense.
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

  // Row t of the chunk that begins at depth k, and the stride of its rows in elements.
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

// The maximal depth of a panel over all its terms, and the maximal chunk.
struct Depths {
  int64_t whole = 0, chunk = 0;

  Depths(const BlockGemm& gemm, std::span<const PanelProduct> products) {
    for (const PanelProduct& p : products) {
      int64_t depth = 0;
      for (const PanelTerm& term : p.terms) {
        depth += RoundUp(term.depth, kDepthStep);
        chunk = std::max(chunk, ChunkOf(gemm, term.depth));
      }
      whole = std::max(whole, depth);
    }
  }
};

// The division of the parallel pass into pieces; a piece is a panel of one product times some of
// the rows. The pieces of a panel are consecutive, so that a worker packs the panel once for all of
// its pieces if the panel can be kept.
struct Partition {
  std::vector<int64_t> ends;  // the end of each product's panels, numbered over all products
  int64_t height;             // rows per piece
  int64_t groups;             // pieces per panel
  bool keeps;                 // packed panels are kept for the next piece
  int64_t packed_bytes;       // of the buffer for packed weights

  Partition(const BlockGemm& gemm, int64_t rows, std::span<const PanelProduct> products) {
    int64_t panels = 0;
    for (const PanelProduct& p : products) ends.push_back(panels += CeilDiv(p.cols, kPanel));
    const Depths depths(gemm, products);
    const int64_t depth_bytes = kPanel * SizeOf(gemm.type());
    const bool small = depths.whole * depth_bytes <= kKeptBytes;
    const int64_t wanted = CeilDiv(small ? kPieces : kDeepPieces, panels);
    groups = std::clamp<int64_t>(rows / kLeastRows, 1, wanted);
    height = RoundUp(CeilDiv(rows, groups), gemm.row_step());
    groups = CeilDiv(rows, height);
    keeps = small && groups > 1;
    packed_bytes = (keeps ? depths.whole : depths.chunk) * depth_bytes;
  }
};

// A worker's work space.
struct Scratch {
  std::byte *scratch, *packed;
  bool keeps;
  int64_t panel = -1;  // the panel in `packed`, numbered over all products

  // Whether `packed` already contains that panel. Records it as the current one if panels are kept.
  bool Claim(int64_t nth) { return keeps && std::exchange(panel, nth) == nth; }
};

// A panel of a product times rows [t, t + rows) of the left factors. Packs each chunk of each
// term's panel, unless `packed` says that they are in the scratch, and multiplies. `out` points to
// row t of the product's output.
void RunPiece(const ProductContext& context, const PanelProduct& product,
              const std::map<const float*, LeftFactor>& left, int64_t panel, int64_t t,
              int64_t rows, float* out, int worker, const Scratch& scratch, bool packed) {
  std::byte* b = scratch.packed;
  bool add = product.add;
  for (const PanelTerm& term : product.terms) {
    const LeftFactor& a = left.at(term.a);
    const int64_t chunk = ChunkOf(context.gemm, term.depth);
    for (int64_t k = 0; k < term.depth; k += chunk, add = true) {
      const int64_t count = std::min(chunk, term.depth - k), padded = RoundUp(count, kDepthStep);
      if (!packed) term.pack(panel, k, count, padded, scratch.scratch, b);
      context.gemm.Multiply(worker, {.a = a.At(k, t),
                                     .a_row = a.stride(k),
                                     .b = b,
                                     .rows = rows,
                                     .depth = RoundUp(count, context.gemm.depth_step()),
                                     .out = out + panel * kPanel,
                                     .out_row = product.cols,
                                     .cols = std::min(kPanel, product.cols - panel * kPanel),
                                     .add = add});
      if (scratch.keeps)
        b += padded * kPanel * SizeOf(context.gemm.type());  // chunks are stored consecutively
    }
  }
}

void RunRows(const ProductContext& context, int64_t top, int64_t rows,
             std::span<const PanelProduct> products) {
  std::map<const float*, LeftFactor> left;
  double operations = 0;
  for (const PanelProduct& p : products) {
    for (const PanelTerm& term : p.terms) {
      if (!left.contains(term.a)) left.emplace(term.a, LeftFactor(context, term, top, rows));
      operations += 2.0 * static_cast<double>(rows * term.depth) * static_cast<double>(p.cols);
    }
  }
  const Partition partition(context.gemm, rows, products);
  const Tensor space = Tensor::Make(
      context.memory, {context.pool.threads(), kPackScratchBytes + partition.packed_bytes},
      DType::kU8);
  std::vector<Scratch> scratches;
  for (int64_t w = 0; w < space.rows(); ++w) {
    std::byte* at = space.raw() + w * space.cols();
    scratches.push_back({at, at + kPackScratchBytes, partition.keeps});
  }
  ForPieces(context.pool, operations, partition.ends.back() * partition.groups,
            [&](int64_t piece, int worker) {
              const int64_t nth = piece / partition.groups,
                            t = piece % partition.groups * partition.height;
              const auto at = static_cast<size_t>(std::ranges::upper_bound(partition.ends, nth) -
                                                  partition.ends.begin());
              const PanelProduct& p = products[at];
              Scratch& scratch = scratches[static_cast<size_t>(worker)];
              const bool packed = scratch.Claim(nth);
              RunPiece(context, p, left, nth - (at ? partition.ends[at - 1] : 0), t,
                       std::min(partition.height, rows - t), p.out + (top + t) * p.cols, worker,
                       scratch, packed);
            });
}

}  // namespace

void RunPanels(const ProductContext& context, int64_t rows,
               std::span<const PanelProduct> products) {
  for (const PanelProduct& p : products) {
    for (const PanelTerm& term : p.terms) {
      const int64_t chunk = ChunkOf(context.gemm, term.depth);
      for (int64_t k = 0; k < term.depth; k += chunk) {
        context.gemm.Prepare(RoundUp(std::min(chunk, term.depth - k), kDepthStep));
      }
    }
  }
  for (int64_t top = 0; top < rows; top += kRowBlock) {
    RunRows(context, top, std::min(kRowBlock, rows - top), products);
  }
}

}  // namespace retort
