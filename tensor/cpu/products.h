// SPDX-License-Identifier: Apache-2.0
// Shared by the products: the GEMM kernels in use, and the division of work into pieces. Pieces
// depend on shapes alone and never share a sum, so results do not depend on the number of threads.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/rounding.h"
#include "base/threads.h"
#include "tensor/backend.h"
#include "tensor/cpu/block_gemm.h"
#include "tensor/cpu/simd.h"

namespace retort {

// How products with one weight are computed.
struct Arithmetic {
  bool int8 = false;   // forward products with activations quantised in blocks of 32
  bool wide = false;   // int8 products: activations have 15 bits instead of 8
  bool super = false;  // the same for blocks of 256, in products of a few rows
  bool bf16 = false;   // all other products: panels of bf16 instead of f32
  // A lasting weight of a runner. On a backend that holds strips, its products use no panels: so
  // that, as with strips, a row's results have the same bits whatever rows are beside it.
  bool steady = false;

  bool operator==(const Arithmetic&) const = default;
};
// This backend's representation of a prepared weight.
struct CpuWeight : PreparedWeight::Data {
  CpuWeight(Weight w, Arithmetic a) : weight(std::move(w)), arithmetic(a) {}
  Weight weight;
  Arithmetic arithmetic;
};
// LinearProduct with the prepared weight unpacked.
struct WeightProduct {
  const Weight* w;
  Tensor y;
  AdapterProduct adapter;
  Arithmetic arithmetic;
};

class CpuProducts {
 public:
  CpuProducts(int workers, Compute compute, Memory& memory, Isa isa);

  // bf16 if requested and available, else f32.
  BlockGemm& gemm(bool bf16) { return bf16 && bf16_ ? *bf16_ : *f32_; }
  BlockGemm& f32() { return *f32_; }

 private:
  std::unique_ptr<BlockGemm> f32_, bf16_;
};

// Below this number of floating-point operations, waking threads costs more than it saves.
inline constexpr double kWorthThreads = 1 << 18;

template <class Body>
void ForPieces(ThreadPool& pool, double operations, int64_t pieces, const Body& body) {
  if (operations >= kWorthThreads) return pool.For(pieces, std::cref(body));
  for (int64_t i = 0; i < pieces; ++i) body(i, 0);
}

// body(product, begin, end) for pieces of `grain` outputs of products with the same x of `rows`
// rows.
template <class Body>
void ForOutputs(ThreadPool& pool, int64_t rows, int64_t grain, std::span<WeightProduct> products,
                const Body& body) {
  int64_t pieces = 0, weights = 0;
  for (const WeightProduct& p : products) {
    pieces += CeilDiv(p.w->rows(), grain);
    weights += p.w->rows() * p.w->cols();
  }
  ForPieces(pool, 2.0 * static_cast<double>(rows) * static_cast<double>(weights), pieces,
            [&](int64_t piece, int) {
              WeightProduct* p = products.data();
              for (; piece >= CeilDiv(p->w->rows(), grain); ++p)
                piece -= CeilDiv(p->w->rows(), grain);
              body(*p, piece * grain, std::min(p->w->rows(), (piece + 1) * grain));
            });
}

// Packs rows [first, first + count) of B's panel into `to`, [padded,64] in BlockGemm's layout, with
// zeros beyond count and cols. Called by several workers at a time, each with its own `scratch` of
// kPackScratchBytes.
using PackPanel = std::function<void(int64_t panel, int64_t first, int64_t count, int64_t padded,
                                     std::byte* scratch, std::byte* to)>;
inline constexpr int64_t kPackScratchBytes = 32 << 10;

// One term of a sum of products: a [rows,depth], dense, times B [depth,cols], which is decoded
// panel by panel.
struct PanelTerm {
  const float* a;
  int64_t depth;
  PackPanel pack;
};
// out [rows,cols], dense, (+)= the sum of the terms.
struct PanelProduct {
  std::vector<PanelTerm> terms;
  int64_t cols;
  float* out;
  bool add;  // add to out, else overwrite it
};

struct ProductContext {
  BlockGemm& gemm;
  ThreadPool& pool;
  Memory& memory;
  Isa isa;
};
// All products in one parallel pass.
void RunPanels(const ProductContext& context, int64_t rows, std::span<const PanelProduct> products);

// B = w^T (forward product) and B = w (gradient).
PackPanel PackTransposed(Isa isa, DType type, const Weight& w);
PackPanel PackStraight(Isa isa, DType type, const Weight& w);
// A weight that borrows a dense matrix [rows,cols] of floats.
Weight AsWeight(const Tensor& matrix);

// Up to this number of rows, VectorForward is faster than packing panels; it also never rounds to
// bf16. It computes all products with x and decodes each weight row once for so many rows of x,
// just before its use. A row's results do not depend on the other rows.
inline constexpr int64_t kVectorRows = 16;
void VectorForward(ThreadPool& pool, Isa isa, const float* x, int64_t rows,
                   std::span<WeightProduct> products);

// All products with x in int8, for any number of rows. Weights are Q8_0 or Q4_0; x is quantised in
// blocks of 32. Either all products are wide or none.
void Int8Forward(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows,
                 std::span<WeightProduct> products);

// The same for weights whose format has BlockFormat::codes.
void SuperForward(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows,
                  std::span<WeightProduct> products);

}  // namespace retort
