// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/int8_rows.h"

#include <algorithm>

#include "tensor/cpu/products.h"

namespace retort {
namespace {

// Where a quantised row goes; padded with zeros to whole groups of blocks.
struct RowSpace {
  int8_t* q;
  float* d;
  int32_t* offset;

  RowSpace(std::byte* at, int64_t cols, int64_t blocks)
      : q(reinterpret_cast<int8_t*>(at)),
        d(reinterpret_cast<float*>(at + blocks * kBlockValues)),
        offset(reinterpret_cast<int32_t*>(d + blocks)) {
    std::fill(q + cols, q + blocks * kBlockValues, int8_t{0});
    std::fill(d + cols / kBlockValues, d + blocks, 0.0f);
    std::fill(offset + cols / kBlockValues, offset + blocks, 0);
  }
};

template <int W> using Bytes8 [[gnu::vector_size(W)]] = int8_t;
template <int W> RETORT_INLINE void StoreBytes(Ints<W> v, int8_t* to) {
  const Bytes8<W> bytes = __builtin_convertvector(v, Bytes8<W>);
  std::memcpy(to, &bytes, sizeof bytes);
}

template <int W> RETORT_INLINE int32_t OffsetOf(Ints<W> sums) {
  if constexpr (W == 1) {
    return -128 * sums[0];
  } else {
    struct { Ints<W / 2> low, high; } parts;
    std::memcpy(&parts, &sums, sizeof sums);
    return OffsetOf<W / 2>(parts.low + parts.high);
  }
}

template <bool kPrecise>
struct QuantiseRow {
  template <int W>
  RETORT_INLINE static void Run(const float* x, int64_t cols, RowSpace high, RowSpace low) {
    constexpr float kMost = kPrecise ? 128 * 127 + 63 : 127;
    for (int64_t b = 0; b < cols / kBlockValues; ++b, x += kBlockValues) {
      Floats<W> tops = {};
      for (int i = 0; i < kBlockValues; i += W) {
        const Floats<W> v = Load<W>(x + i);
        tops = Max<W>(tops, Max<W>(v, -v));
      }
      const float scale = MaxLane<W>(tops) / kMost;
      const float inverse = scale >= 0x1p-126f ? 1 / scale : 0.0f;
      Ints<W> sums = {}, low_sums = {};
      for (int i = 0; i < kBlockValues; i += W) {  // to nearest even, by adding 1.5 * 2^23
        const Ints<W> n = (Ints<W>)(Load<W>(x + i) * inverse + 12582912.0f) - 0x4b400000;
        const Ints<W> top = kPrecise ? (n + 64) >> 7 : n;
        sums += top;
        StoreBytes<W>(top, high.q + b * kBlockValues + i);
        if constexpr (kPrecise) {
          low_sums += n - (top << 7);
          StoreBytes<W>(n - (top << 7), low.q + b * kBlockValues + i);
        }
      }
      high.d[b] = kPrecise ? 128 * scale : scale;
      high.offset[b] = OffsetOf<W>(sums);
      if constexpr (kPrecise) low.d[b] = scale, low.offset[b] = OffsetOf<W>(low_sums);
    }
  }
};

}  // namespace

Int8Rows::Int8Rows(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows, int64_t cols,
                   bool precise)
    : parts_(precise ? 2 : 1) {
  const int64_t blocks = RoundUp(cols / kBlockValues, kInt8GroupBlocks);
  const int64_t row_bytes = blocks * (kBlockValues + 8);
  const int64_t count = parts_ * rows, list_bytes = count * static_cast<int64_t>(sizeof(Int8Row));
  storage_ = Tensor::Make(memory, {count * row_bytes + list_bytes}, DType::kU8);
  rows_ = {reinterpret_cast<Int8Row*>(storage_.raw() + count * row_bytes), static_cast<size_t>(count)};
  const auto space = [&](int64_t row) {
    const RowSpace to(storage_.raw() + row * row_bytes, cols, blocks);
    rows_[static_cast<size_t>(row)] = {to.q, to.d, to.offset};
    return to;
  };
  ForPieces(pool, 16.0 * static_cast<double>(rows * cols), rows, [&](int64_t t, int) {
    const RowSpace high = space(parts_ * t);
    if (precise) {
      CallSimd<QuantiseRow<true>>(isa, x + t * cols, cols, high, space(parts_ * t + 1));
    } else {
      CallSimd<QuantiseRow<false>>(isa, x + t * cols, cols, high, high);
    }
  });
}

}  // namespace retort
