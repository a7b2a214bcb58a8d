// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/decode.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "tensor/quant/blocks.h"
#include "tensor/quant/nf4.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

template <int W> using Chars [[gnu::vector_size(W)]] = uint8_t;
template <int W> using SignedChars [[gnu::vector_size(W)]] = int8_t;

template <class V> RETORT_INLINE V LoadAs(const void* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// In two steps: GCC 12 makes one step from 8 to 32 bits value by value.
template <int W> RETORT_INLINE Ints<W> Widened(Chars<W> v) {
  return __builtin_convertvector(__builtin_convertvector(v, Halves<W>), Ints<W>);
}
template <int W> RETORT_INLINE Ints<W> WidenedSigned(SignedChars<W> v) {
  using SignedHalves [[gnu::vector_size(W * 2)]] = int16_t;
  return __builtin_convertvector(__builtin_convertvector(v, SignedHalves), Ints<W>);
}

// table[index & 15]
template <int W> RETORT_INLINE Floats<W> LookUp(const float* table, Ints<W> index) {
  if constexpr (W == 16) {
    return __builtin_shuffle(Load<16>(table), index);
  } else if constexpr (W == 8) {
    const Floats<8> low = __builtin_shuffle(Load<8>(table), index);
    const Floats<8> high = __builtin_shuffle(Load<8>(table + 8), index);
    return (index & 8) != 0 ? high : low;
  } else {
    Floats<W> v;
    for (int i = 0; i < W; ++i) v[i] = table[index[i] & 15];
    return v;
  }
}

struct WidenKernel {  // f16, bf16
  template <int W, class T> RETORT_INLINE static void Run(const T* in, int64_t n, float* out) {
    int64_t i = 0;
    for (; i + W <= n; i += W) Store<W>(out + i, Load<W>(in + i));
    if (i < n) Store<W>(out + i, Load<W>(in + i, FirstLanes{n - i}), FirstLanes{n - i});
  }
};

struct RoundKernel {
  template <int W> RETORT_INLINE static Halves<W> Rounded(Floats<W> v) {
    const Ints<W> u = (Ints<W>)v;
    const Ints<W> nearest = u + 0x7fff + (u >> 16 & 1);
    const Ints<W> bits = (u & 0x7fffffff) > 0x7f800000 ? u | 0x400000 : nearest;
    return __builtin_convertvector(bits >> 16 & 0xffff, Halves<W>);
  }
  template <int W> RETORT_INLINE static void Run(const float* in, int64_t n, BF16* out) {
    int64_t i = 0;
    for (; i + W <= n; i += W) {
      const Halves<W> h = Rounded<W>(Load<W>(in + i));
      std::memcpy(out + i, &h, sizeof h);
    }
    for (; i < n; ++i) out[i] = ToBF16(in[i]);
  }
};

struct Q8Kernel {
  template <int W>
  RETORT_INLINE static void Run(const BlockQ8_0* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b, out += kBlockValues) {
      const float d = ScaleOf(in[b].d);
      for (int i = 0; i < 32; i += W) {
        const auto q = WidenedSigned<W>(LoadAs<SignedChars<W>>(in[b].q + i));
        Store<W>(out + i, __builtin_convertvector(q, Floats<W>) * d);
      }
    }
  }
};

struct Q4Kernel {
  template <int W>
  RETORT_INLINE static void Run(const BlockQ4_0* in, int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b, out += kBlockValues) {
      const float d = ScaleOf(in[b].d);
      for (int i = 0; i < 16; i += W) {
        const auto q = Widened<W>(LoadAs<Chars<W>>(in[b].q + i));
        Store<W>(out + i, __builtin_convertvector((q & 15) - 8, Floats<W>) * d);
        Store<W>(out + 16 + i, __builtin_convertvector((q >> 4) - 8, Floats<W>) * d);
      }
    }
  }
};

struct Nf4Kernel {
  template <int W>
  RETORT_INLINE static void Run(const std::byte* in, const float* table, const float* scales,
                                int64_t blocks, float* out) {
    for (int64_t b = 0; b < blocks; ++b) {
      for (int half = 0; half < 2; ++half, in += 16, out += 32) {
        // The first of two values is the high half of a byte: bring it to the lower address.
        const auto pairs = __builtin_convertvector(LoadAs<Chars<16>>(in), Halves<16>);
        const Halves<16> spread = pairs >> 4 | (pairs & 15) << 8;
        uint8_t codes[32];
        std::memcpy(codes, &spread, sizeof codes);
        for (int i = 0; i < 32; i += W) {
          const auto q = Widened<W>(LoadAs<Chars<W>>(codes + i));
          Store<W>(out + i, LookUp<W>(table, q) * scales[b]);
        }
      }
    }
  }
};

// Values [begin, begin + count) of a sequence of blocks: decode(first, n, to) gives n whole blocks.
template <int64_t kBlock, class Decode>
void DecodeRange(int64_t begin, int64_t count, float* out, const Decode& decode) {
  while (count > 0) {
    const int64_t block = begin / kBlock, skip = begin % kBlock;
    int64_t done;
    if (skip == 0 && count >= kBlock) {
      done = count / kBlock * kBlock;
      decode(block, count / kBlock, out);
    } else {
      float whole[kBlock];
      decode(block, int64_t{1}, whole);
      done = std::min(kBlock - skip, count);
      std::copy_n(whole + skip, done, out);
    }
    begin += done;
    count -= done;
    out += done;
  }
}

void DecodeNf4(Isa isa, const Weight& w, int64_t first, int64_t blocks, float* out) {
  constexpr int64_t kGroup = 32;  // whose maxima are expanded at a time
  const int64_t whole = static_cast<int64_t>(w.bytes().size()) / kNf4BlockBytes;
  const float* table = Nf4Codes().data();
  for (const int64_t end = first + blocks; first < end;) {
    const int64_t n = std::min(kGroup, end - first);
    std::array<float, kGroup> scales;
    ScalesOf(w.nf4(), first, std::span(scales).first(static_cast<size_t>(n)));
    const std::byte* codes = w.bytes().data() + first * kNf4BlockBytes;
    const int64_t full = std::min(n, whole - first);
    CallSimd<Nf4Kernel>(isa, codes, table, static_cast<const float*>(scales.data()), full, out);
    if (full < n) {  // the short last block
      std::array<std::byte, kNf4BlockBytes> padded{};
      std::copy(codes + full * kNf4BlockBytes, w.bytes().data() + w.bytes().size(), padded.begin());
      CallSimd<Nf4Kernel>(isa, static_cast<const std::byte*>(padded.data()), table,
                          static_cast<const float*>(scales.data() + full), int64_t{1},
                          out + full * kNf4BlockValues);
    }
    first += n;
    out += n * kNf4BlockValues;
  }
}

template <class Block, class Kernel>
void DecodeBlocks(Isa isa, const std::byte* row, int64_t begin, int64_t count, float* out) {
  const auto* blocks = reinterpret_cast<const Block*>(row);
  DecodeRange<kBlockValues>(begin, count, out, [&](int64_t first, int64_t n, float* to) {
    CallSimd<Kernel>(isa, blocks + first, n, to);
  });
}

// 64 columns of row k, by format.
template <class T>
struct PlainColumns {
  const T* from;
  int64_t stride;
  const void* At(int64_t k) const { return from + k * stride; }
  template <int W> RETORT_INLINE void Decode(int64_t k, float* out) const {
    for (int64_t i = 0; i < kDecodedCols; i += W) Store<W>(out + i, Load<W>(from + k * stride + i));
  }
};
template <class Block, class Kernel>
struct BlockColumns {
  const Block* from;
  int64_t stride;
  const void* At(int64_t k) const { return from + k * stride; }
  template <int W> RETORT_INLINE void Decode(int64_t k, float* out) const {
    Kernel::template Run<W>(from + k * stride, kDecodedCols / kBlockValues, out);
  }
};
struct Nf4Columns {
  const std::byte* from;
  int64_t stride;
  const float *table, *scales;
  const void* At(int64_t k) const { return from + k * stride; }
  template <int W> RETORT_INLINE void Decode(int64_t k, float* out) const {
    Nf4Kernel::Run<W>(from + k * stride, table, scales + k, 1, out);
  }
};

// Rows lie apart, which the processor does not foresee: they are asked for some way ahead.
struct ColumnsKernel {
  static constexpr int64_t kAhead = 16;
  template <int W, class Columns>
  RETORT_INLINE static void Run(const Columns* rows, int64_t count, float* out) {
    for (int64_t k = 0; k < count; ++k) {
      __builtin_prefetch(rows->At(k + kAhead));
      rows->template Decode<W>(k, out + k * kDecodedCols);
    }
  }
};

template <class Columns>
void RunColumns(Isa isa, const Columns& rows, int64_t count, float* out) {
  CallSimd<ColumnsKernel>(isa, &rows, count, out);
}

// A matrix whose rows are whole blocks of 64.
void DecodeNf4Columns(Isa isa, const Weight& w, int64_t first, int64_t count, int64_t col,
                      float* out) {
  constexpr int64_t kGroup = 64;  // rows whose maxima are expanded at a time
  const int64_t row_blocks = w.cols() / kNf4BlockValues;
  for (int64_t k = 0; k < count; k += kGroup) {
    const int64_t n = std::min(kGroup, count - k);
    const int64_t block = (first + k) * row_blocks + col / kNf4BlockValues;
    std::array<float, kGroup> scales;
    for (int64_t i = 0; i < n; ++i) {
      ScalesOf(w.nf4(), block + i * row_blocks, std::span(scales).subspan(static_cast<size_t>(i), 1));
    }
    const Nf4Columns rows{w.bytes().data() + block * kNf4BlockBytes, row_blocks * kNf4BlockBytes,
                          Nf4Codes().data(), scales.data()};
    RunColumns(isa, rows, n, out + k * kDecodedCols);
  }
}

// Whether 64 columns from col on lie in whole blocks of every row.
bool LieInBlocks(const Weight& w, int64_t col) {
  const bool whole_rows = w.format() != WeightFormat::kNF4 || w.cols() % kNf4BlockValues == 0;
  return whole_rows && col + kDecodedCols <= w.cols();
}

}  // namespace

void DecodeColumns(Isa isa, const Weight& w, int64_t first, int64_t count, int64_t col,
                   float* out) {
  RETORT_CHECK(first >= 0 && count >= 0 && first + count <= w.rows() && col >= 0 &&
                   col % kDecodedCols == 0 && col < w.cols(),
               "rows ", first, " + ", count, ", column ", col, " of ", w.rows(), " x ", w.cols());
  if (!LieInBlocks(w, col)) {
    const int64_t n = std::min(kDecodedCols, w.cols() - col);
    for (int64_t k = 0; k < count; ++k, out += kDecodedCols) {
      DecodeRow(isa, w, first + k, col, n, out);
      std::fill(out + n, out + kDecodedCols, 0.0f);
    }
    return;
  }
  const std::byte* bytes = w.bytes().data();
  const auto plain = [&]<class T>(T) {
    const auto* from = reinterpret_cast<const T*>(bytes) + first * w.cols() + col;
    RunColumns(isa, PlainColumns<T>{from, w.cols()}, count, out);
  };
  const auto blocks = [&]<class Block, class Kernel>(Block, Kernel) {
    const int64_t row_blocks = w.cols() / kBlockValues;
    const auto* from = reinterpret_cast<const Block*>(bytes) + first * row_blocks + col / kBlockValues;
    RunColumns(isa, BlockColumns<Block, Kernel>{from, row_blocks}, count, out);
  };
  switch (w.format()) {
    case WeightFormat::kF32: return plain(float{});
    case WeightFormat::kF16: return plain(F16{});
    case WeightFormat::kBF16: return plain(BF16{});
    case WeightFormat::kQ8_0: return blocks(BlockQ8_0{}, Q8Kernel{});
    case WeightFormat::kQ4_0: return blocks(BlockQ4_0{}, Q4Kernel{});
    case WeightFormat::kNF4: return DecodeNf4Columns(isa, w, first, count, col, out);
  }
}

void RoundToBF16(Isa isa, const float* values, int64_t count, BF16* out) {
  CallSimd<RoundKernel>(isa, values, count, out);
}

void DecodeRow(Isa isa, const Weight& w, int64_t row, int64_t begin, int64_t count, float* out) {
  RETORT_CHECK(row >= 0 && row < w.rows() && begin >= 0 && count >= 0 && begin + count <= w.cols(),
               "row ", row, " values ", begin, " + ", count, " of ", w.rows(), " x ", w.cols());
  if (w.format() == WeightFormat::kNF4) {
    return DecodeRange<kNf4BlockValues>(
        row * w.cols() + begin, count, out,
        [&](int64_t first, int64_t n, float* to) { DecodeNf4(isa, w, first, n, to); });
  }
  const std::byte* bytes = w.bytes().data() + row * RowBytes(w.format(), w.cols());
  switch (w.format()) {
    case WeightFormat::kF32:
      std::memcpy(out, bytes + begin * 4, static_cast<size_t>(count) * 4);
      return;
    case WeightFormat::kF16:
      return CallSimd<WidenKernel>(isa, reinterpret_cast<const F16*>(bytes) + begin, count, out);
    case WeightFormat::kBF16:
      return CallSimd<WidenKernel>(isa, reinterpret_cast<const BF16*>(bytes) + begin, count, out);
    case WeightFormat::kQ8_0:
      return DecodeBlocks<BlockQ8_0, Q8Kernel>(isa, bytes, begin, count, out);
    case WeightFormat::kQ4_0:
      return DecodeBlocks<BlockQ4_0, Q4Kernel>(isa, bytes, begin, count, out);
    case WeightFormat::kNF4: return;
  }
}

void DecodeRow(Isa isa, const Weight& w, int64_t row, int64_t begin, int64_t count, BF16* out) {
  if (w.format() == WeightFormat::kBF16) {
    RETORT_CHECK(row >= 0 && row < w.rows() && begin >= 0 && begin + count <= w.cols());
    std::memcpy(out, w.bytes().data() + (row * w.cols() + begin) * 2,
                static_cast<size_t>(count) * 2);
    return;
  }
  constexpr int64_t kChunk = 512;
  std::array<float, kChunk> values;
  for (int64_t done = 0; done < count; done += kChunk) {
    const int64_t n = std::min(kChunk, count - done);
    DecodeRow(isa, w, row, begin + done, n, values.data());
    RoundToBF16(isa, values.data(), n, out + done);
  }
}

void DecodeRow(const Weight& w, int64_t row, int64_t begin, int64_t count, float* out) {
  DecodeRow(HostIsa(), w, row, begin, count, out);
}
void DecodeRow(const Weight& w, int64_t row, int64_t begin, int64_t count, BF16* out) {
  DecodeRow(HostIsa(), w, row, begin, count, out);
}

}  // namespace retort
