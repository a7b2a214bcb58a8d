// SPDX-License-Identifier: Apache-2.0
#include "tensor/cpu/int8_rows.h"

#include <algorithm>

#include "tensor/cpu/products.h"

namespace retort {
namespace {

// The space of one row, at `at`; its padding up to `blocks` blocks is set to zeros.
Int8Space PaddedSpace(std::byte* at, int64_t cols, int64_t blocks) {
  auto* d = reinterpret_cast<float*>(at + blocks * kBlockValues);
  const Int8Space s{reinterpret_cast<int8_t*>(at), d, reinterpret_cast<int32_t*>(d + blocks)};
  std::fill(s.q + cols, s.q + blocks * kBlockValues, int8_t{0});
  std::fill(s.d + cols / kBlockValues, s.d + blocks, 0.0f);
  std::fill(s.offset + cols / kBlockValues, s.offset + blocks, 0);
  return s;
}

template <int W>
using Bytes8 [[gnu::vector_size(W)]] = int8_t;
template <int W>
RETORT_INLINE void StoreBytes(Ints<W> v, int8_t* to) {
  const Bytes8<W> bytes = __builtin_convertvector(v, Bytes8<W>);
  std::memcpy(to, &bytes, sizeof bytes);
}

// Clears the vectors one by one: clearing the array as a whole is compiled to stores in memory.
template <class Vector, int kCount>
RETORT_INLINE void Clear(Vector (&v)[kCount]) {
  for (int i = 0; i < kCount; ++i) v[i] = Vector{};
}
template <class Vector>
RETORT_INLINE void StoreFirst(Vector v, int64_t n, void* to) {
  std::memcpy(to, &v, static_cast<size_t>(n) * 4);
}

// W blocks at a time, so that their scales form one vector and their sums another.
template <bool kPrecise>
struct QuantiseRow {
  template <int W>
  RETORT_INLINE static void Run(const float* x, int64_t cols, Int8Space high, Int8Space low) {
    const int64_t blocks = cols / kBlockValues;
    for (int64_t b = 0; b < blocks; b += W) {
      Blocks<W>(x + b * kBlockValues, b, std::min<int64_t>(W, blocks - b), high, low);
    }
  }

  template <int W>
  RETORT_INLINE static void Blocks(const float* x, int64_t at, int64_t n, const Int8Space& high,
                                   const Int8Space& low) {
    constexpr float kMost = kPrecise ? 128 * 127 + 63 : 127;
    // Magnitudes are compared by their bits, in which NaN is above infinity: comparisons of floats
    // would lose a NaN.
    Ints<W> tops[W];
    Clear(tops);
    for (int64_t b = 0; b < n; ++b) {
      for (int i = 0; i < kBlockValues; i += W) {
        const Ints<W> magnitude = (Ints<W>)Load<W>(x + b * kBlockValues + i) & 0x7fffffff;
        tops[b] = magnitude > tops[b] ? magnitude : tops[b];
      }
    }
    const Ints<W> top_of = MaxEach<W>(tops);
    const Floats<W> scale = (Floats<W>)top_of / kMost;
    float inverse[W];
    Store<W>(inverse, scale >= 0x1p-126f ? 1 / scale : Floats<W>{});
    int32_t finite[W];  // -1 or 0 for each block
    const Ints<W> is_finite = top_of < 0x7f800000;
    std::memcpy(finite, &is_finite, sizeof finite);
    Ints<W> sums[W], low_sums[W];
    Clear(sums);
    Clear(low_sums);
    for (int64_t b = 0; b < n; ++b) {
      for (int i = 0; i < kBlockValues; i += W) {  // adding 1.5 * 2^23 rounds to nearest even
        const int64_t from = b * kBlockValues + i, to = at * kBlockValues + from;
        const Floats<W> rounded = Load<W>(x + from) * inverse[b] + 12582912.0f;
        const Ints<W> q = ((Ints<W>)rounded - 0x4b400000) & finite[b];
        const Ints<W> top = kPrecise ? (q + 64) >> 7 : q;
        sums[b] += top;
        StoreBytes<W>(top, high.q + to);
        if constexpr (kPrecise) {
          low_sums[b] += q - (top << 7);
          StoreBytes<W>(q - (top << 7), low.q + to);
        }
      }
    }
    StoreFirst(kPrecise ? 128 * scale : scale, n, high.d + at);
    StoreFirst(-128 * SumEach<W>(sums), n, high.offset + at);
    if constexpr (kPrecise) {
      StoreFirst(scale, n, low.d + at);
      StoreFirst(-128 * SumEach<W>(low_sums), n, low.offset + at);
    }
  }
};

}  // namespace

void QuantiseInt8(Isa isa, const float* x, int64_t cols, bool wide_input, const Int8Space& high,
                  const Int8Space& low) {
  wide_input ? CallSimd<QuantiseRow<true>>(isa, x, cols, high, low)
             : CallSimd<QuantiseRow<false>>(isa, x, cols, high, low);
}

Int8Rows::Int8Rows(ThreadPool& pool, Memory& memory, Isa isa, const float* x, int64_t rows,
                   int64_t cols, bool wide_input)
    : parts_(wide_input ? 2 : 1) {
  const int64_t blocks = RoundUp(cols / kBlockValues, kInt8PaddedBlocks);
  const int64_t row_bytes = blocks * (kBlockValues + 8);
  const int64_t count = parts_ * rows, list_bytes = count * static_cast<int64_t>(sizeof(Int8Row));
  storage_ = Tensor::Make(memory, {count * row_bytes + list_bytes}, DType::kU8);
  rows_ = {reinterpret_cast<Int8Row*>(storage_.raw() + count * row_bytes),
           static_cast<size_t>(count)};
  const auto space = [&](int64_t row) {
    const Int8Space to = PaddedSpace(storage_.raw() + row * row_bytes, cols, blocks);
    rows_[static_cast<size_t>(row)] = {to.q, to.d, to.offset};
    return to;
  };
  ForPieces(pool, 16.0 * static_cast<double>(rows * cols), rows, [&](int64_t t, int) {
    const Int8Space high = space(parts_ * t);
    QuantiseInt8(isa, x + t * cols, cols, wide_input, high,
                 wide_input ? space(parts_ * t + 1) : high);
  });
}

}  // namespace retort
