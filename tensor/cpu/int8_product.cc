// SPDX-License-Identifier: Apache-2.0
// Block formats times activations quantised to the same blocks of 32: y = sum over blocks of
// (d_w d_x) times an exact int32 dot product.
#include <algorithm>

#include "tensor/cpu/int8_codes.h"
#include "tensor/cpu/int8_stream.h"
#include "tensor/cpu/products.h"
#include "tensor/quant/strips.h"

namespace retort {
namespace {

// Weight rows per piece: a few 10 KB, which stay in the cache because they are reread for every few
// tokens.
int64_t Grain(int64_t cols) {
  return std::clamp<int64_t>((1 << 15) / std::max<int64_t>(1, cols), 4, 64) / 4 * 4;
}

void MultiplyFewRows(ThreadPool& pool, Isa isa, const Int8Rows& x,
                     std::span<WeightProduct> products) {
  constexpr int64_t kMostOutputs = 64;
  const int64_t rows = std::ssize(x.rows()), parts = x.parts();
  ForOutputs(pool, rows, Grain(products[0].w->cols()), products,
             [&](WeightProduct& p, int64_t begin, int64_t end) {
               float sums[kInt8DotRows][kMostOutputs];
               for (int64_t row = 0; row < rows; row += kInt8DotRows) {
                 const int64_t count = std::min(kInt8DotRows, rows - row);
                 Int8Dots(isa, *p.w, begin, end, x.rows().data() + row, count, sums[0],
                          kMostOutputs);
                 for (int64_t t = 0; t < count; t += parts) {
                   float* y = p.y.data<float>() + (row + t) / parts * p.w->rows() + begin;
                   for (int64_t o = 0; o < end - begin; ++o)
                     y[o] = parts == 1 ? sums[t][o] : sums[t][o] + sums[t + 1][o];
                 }
               }
             });
}

// How a product is computed.
enum class Way : uint8_t { kFewRows, kVnni, kCodes };

Way WayOf(Isa isa, const Weight& w, int64_t rows, int64_t parts) {
  const bool strips = w.layout() == WeightLayout::kStrips;
  if (isa == Isa::kAvx512 && CpuHasVnni()) {
    const bool packs = rows * parts >= kInt8PanelRows && w.rows() >= kStripRows;
    return strips || packs ? Way::kVnni : Way::kFewRows;
  }
  return HasCodeTiles(isa) && rows > kVectorRows && !strips ? Way::kCodes : Way::kFewRows;
}

}  // namespace

void Int8Forward(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows,
                 std::span<WeightProduct> products) {
  const int64_t cols = products[0].w->cols();
  const Int8Rows quantised(pool, memory, isa, x, rows, cols, products[0].arithmetic.wide);
  const auto way = [&](const WeightProduct& p) {
    return WayOf(isa, *p.w, rows, quantised.parts());
  };
  while (!products.empty()) {  // for each run of consecutive products that use the same kernel
    size_t count = 1;
    while (count < products.size() && way(products[count]) == way(products[0])) ++count;
    const auto same = products.first(count);
    products = products.subspan(count);
    switch (way(same[0])) {
      case Way::kFewRows:
        MultiplyFewRows(pool, isa, quantised, same);
        break;
      case Way::kVnni:
        Streams(quantised, same) ? StreamForward(pool, memory, quantised, same)
                                 : Int8PanelForward(pool, memory, VnniTiles(), quantised, same);
        break;
      case Way::kCodes:
        Int8PanelForward(pool, memory, CodeTiles(isa, cols), quantised, same);
        break;
    }
  }
}

}  // namespace retort
