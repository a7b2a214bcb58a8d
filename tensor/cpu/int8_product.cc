// SPDX-License-Identifier: Apache-2.0
// Block formats times activations quantised to the same blocks of 32: y = sum over blocks of
// (d_w d_x) times an exact int32 dot product.
#include <algorithm>
#include <bit>
#include <cmath>

#include "tensor/cpu/int8_panels.h"
#include "tensor/cpu/products.h"

namespace retort {
namespace {

struct QuantiseRow {
  template <int W>
  RETORT_INLINE static void Run(const float* x, int64_t cols, int8_t* q, float* d,
                                int32_t* offset) {
    for (int64_t b = 0; b < cols / kBlockValues; ++b, x += kBlockValues, q += kBlockValues) {
      Floats<W> tops = {};
      for (int i = 0; i < kBlockValues; i += W) {
        const Floats<W> v = Load<W>(x + i);
        tops = Max<W>(tops, Max<W>(v, -v));
      }
      const float scale = MaxLane<W>(tops) / 127;
      const float inverse = scale >= 0x1p-126f ? 1 / scale : 0.0f;
      Ints<W> sums = {};
      for (int i = 0; i < kBlockValues; i += W) {  // to nearest even, by adding 1.5 * 2^23
        const Ints<W> n = (Ints<W>)(Load<W>(x + i) * inverse + 12582912.0f) - 0x4b400000;
        sums += n;
        const Bytes8<W> bytes = __builtin_convertvector(n, Bytes8<W>);
        std::memcpy(q + i, &bytes, sizeof bytes);
      }
      int32_t sum = 0;
      for (int i = 0; i < W; ++i) sum += sums[i];
      d[b] = scale;
      offset[b] = -128 * sum;
    }
  }

 private:
  template <int W> using Bytes8 [[gnu::vector_size(W)]] = int8_t;
};

// Rows of activations, quantised and padded with zeros to whole groups of blocks.
class Int8Rows {
 public:
  Int8Rows(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows, int64_t cols) {
    const int64_t blocks = RoundUp(cols / kBlockValues, kInt8GroupBlocks);
    const int64_t row_bytes = blocks * (kBlockValues + 8);
    storage_ = Tensor::Make(memory, {rows, row_bytes}, DType::kU8);
    rows_.resize(static_cast<size_t>(rows));
    ForPieces(pool, 16.0 * static_cast<double>(rows * cols), rows, [&](int64_t t, int) {
      std::byte* at = storage_.raw() + t * row_bytes;
      auto* q = reinterpret_cast<int8_t*>(at);
      auto* d = reinterpret_cast<float*>(at + blocks * kBlockValues);
      auto* offset = reinterpret_cast<int32_t*>(d + blocks);
      std::fill(q + cols, q + blocks * kBlockValues, int8_t{0});
      std::fill(d + cols / kBlockValues, d + blocks, 0.0f);
      std::fill(offset + cols / kBlockValues, offset + blocks, 0);
      CallSimd<QuantiseRow>(isa, x + t * cols, cols, q, d, offset);
      rows_[static_cast<size_t>(t)] = {q, d, offset};
    });
  }
  std::span<const Int8Row> rows() const { return rows_; }

 private:
  Tensor storage_;
  std::vector<Int8Row> rows_;
};

// Weight rows of a piece: a few 10 KB, read again for every few tokens.
int64_t Grain(int64_t cols) {
  return std::clamp<int64_t>((1 << 15) / std::max<int64_t>(1, cols), 4, 64) / 4 * 4;
}

void FewRows(ThreadPool& pool, Isa isa, std::span<const Int8Row> x,
             std::span<LinearProduct> products) {
  const auto rows = static_cast<int64_t>(std::ssize(x));
  ForOutputs(pool, rows, Grain(products[0].w->cols()), products, [&](LinearProduct& p, int64_t begin, int64_t end) {
    const int64_t all = p.w->rows();
    for (int64_t t = 0; t < rows; t += kInt8DotRows) {
      Int8Dots(isa, *p.w, begin, end, x.data() + t, std::min(kInt8DotRows, rows - t),
               p.y.data<float>() + t * all + begin, all);
    }
  });
}

}  // namespace

void Int8Forward(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows,
                 std::span<LinearProduct> products) {
  const Int8Rows quantised(pool, memory, isa, x, rows, products[0].w->cols());
  const auto x_rows = quantised.rows();
  const bool panels = rows >= kInt8PanelRows && isa == Isa::kAvx512 && CpuHasVnni();
  const auto fits = [&](const LinearProduct& p) { return panels && FitsInt8Panels(*p.w); };
  while (!products.empty()) {  // runs of products that go the same way
    size_t count = 1;
    while (count < products.size() && fits(products[count]) == fits(products[0])) ++count;
    const auto same = products.first(count);
    products = products.subspan(count);
    if (fits(same[0])) {
      Int8PanelForward(pool, memory, x_rows, same);
    } else {
      FewRows(pool, isa, x_rows, same);
    }
  }
}

}  // namespace retort
