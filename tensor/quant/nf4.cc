// SPDX-License-Identifier: Apache-2.0
// NF4: blocks of 64 consecutive values of the flattened matrix; a value is absmax * code[q], q has
// 4 bits (QLoRA, bitsandbytes).
#include "tensor/quant/nf4.h"

#include <array>
#include <bit>

#include "tensor/quant/format_kernels.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

// QLoRA (arXiv 2305.14314), appendix E.
constexpr std::array<float, 16> kCodes = {-1.0f,
                                          -0.6961928009986877f,
                                          -0.5250730514526367f,
                                          -0.39491748809814453f,
                                          -0.28444138169288635f,
                                          -0.18477343022823334f,
                                          -0.09105003625154495f,
                                          0.0f,
                                          0.07958029955625534f,
                                          0.16093020141124725f,
                                          0.24611230194568634f,
                                          0.33791524171829224f,
                                          0.44070982933044434f,
                                          0.5626170039176941f,
                                          0.7229568362236023f,
                                          1.0f};

constexpr std::array<float, 15> kMidpoints = [] {
  std::array<float, 15> m{};
  for (size_t i = 0; i < m.size(); ++i) m[i] = (kCodes[i + 1] + kCodes[i]) / 2;
  return m;
}();

struct Nf4Kernel {
  template <int W>
  RETORT_INLINE static void Run(const std::byte* in, const float* scales, int64_t blocks,
                                float* out) {
    const float* table = kCodes.data();
    for (int64_t b = 0; b < blocks; ++b) {
      for (int half = 0; half < 2; ++half, in += 16, out += 32) {
        // The first of two values is in the high half of a byte: move it to the lower address.
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

void Decode(Isa isa, const Weight& w, int64_t first, int64_t blocks, float* out) {
  constexpr int64_t kGroup = 32;  // blocks whose maxima are decoded at a time
  const int64_t whole = static_cast<int64_t>(w.bytes().size()) / kNf4BlockBytes;
  for (const int64_t end = first + blocks; first < end;) {
    const int64_t n = std::min(kGroup, end - first);
    std::array<float, kGroup> scales;
    ScalesOf(w.nf4(), first, std::span(scales).first(static_cast<size_t>(n)));
    const std::byte* codes = w.bytes().data() + first * kNf4BlockBytes;
    const int64_t full = std::min(n, whole - first);
    CallSimd<Nf4Kernel>(isa, codes, static_cast<const float*>(scales.data()), full, out);
    if (full < n) {  // the short last block
      std::array<std::byte, kNf4BlockBytes> padded{};
      std::copy(codes + full * kNf4BlockBytes, w.bytes().data() + w.bytes().size(), padded.begin());
      CallSimd<Nf4Kernel>(isa, static_cast<const std::byte*>(padded.data()),
                          static_cast<const float*>(scales.data() + full), int64_t{1},
                          out + full * kNf4BlockValues);
    }
    first += n;
    out += n * kNf4BlockValues;
  }
}

struct Nf4ColumnsKernel {
  static constexpr int64_t kAhead = 16;
  template <int W>
  RETORT_INLINE static void Run(const std::byte* in, int64_t stride, const float* scales,
                                int64_t count, float* out) {
    for (int64_t k = 0; k < count; ++k) {
      __builtin_prefetch(in + std::min(k + kAhead, count - 1) * stride);
      Nf4Kernel::Run<W>(in + k * stride, scales + k, 1, out + k * kDecodedCols);
    }
  }
};
static_assert(kDecodedCols == kNf4BlockValues);

// Only for matrices whose rows are whole blocks.
void DecodeColumns(Isa isa, const Weight& w, int64_t first, int64_t count, int64_t col,
                   float* out) {
  constexpr int64_t kGroup = 64;  // rows whose maxima are decoded at a time
  const int64_t row_blocks = w.cols() / kNf4BlockValues;
  for (int64_t k = 0; k < count; k += kGroup) {
    const int64_t n = std::min(kGroup, count - k);
    const int64_t block = (first + k) * row_blocks + col / kNf4BlockValues;
    std::array<float, kGroup> scales;
    for (int64_t i = 0; i < n; ++i) {
      ScalesOf(w.nf4(), block + i * row_blocks,
               std::span(scales).subspan(static_cast<size_t>(i), 1));
    }
    CallSimd<Nf4ColumnsKernel>(isa, w.bytes().data() + block * kNf4BlockBytes,
                               row_blocks * kNf4BlockBytes,
                               static_cast<const float*>(scales.data()), n, out + k * kDecodedCols);
  }
}

void EncodeBlock(const float* values, float absmax, uint8_t* code) {
  float unit[kNf4BlockValues];
  for (int64_t i = 0; i < kNf4BlockValues; ++i) unit[i] = absmax > 0 ? values[i] / absmax : 0.0f;
  int32_t below[kNf4BlockValues] = {};
  for (const float midpoint : kMidpoints) {
    for (int64_t i = 0; i < kNf4BlockValues; ++i) below[i] += unit[i] > midpoint;
  }
  for (int64_t i = 0; i < kNf4BlockValues; ++i) code[i] = static_cast<uint8_t>(below[i]);
}

// Encodes `values` (blocks of 64; the last may be short) to one maximum of magnitudes per block and
// two values per byte, the first in the high half. A value's code is the number of midpoints
// between neighbouring codes that are strictly below value / maximum. In a block of zeros all codes
// are 7 (zero).
void EncodeFlat(std::span<const float> values, std::byte* codes, float* absmax) {
  const int64_t count = static_cast<int64_t>(values.size());
  for (int64_t begin = 0; begin < count; begin += kNf4BlockValues) {
    const int64_t n = std::min(kNf4BlockValues, count - begin);
    float block[kNf4BlockValues] = {};  // a short last block is padded with zeros
    std::copy_n(values.data() + begin, n, block);
    // By their bits, in which NaN is above infinity: a NaN in a block makes all of it NaN.
    uint32_t top_bits = 0;
    for (const float v : block)
      top_bits = std::max(top_bits, std::bit_cast<uint32_t>(v) & 0x7fffffff);
    const auto top = std::bit_cast<float>(top_bits);
    *absmax++ = top;
    uint8_t code[kNf4BlockValues];
    EncodeBlock(block, top, code);
    if (n % 2) code[n] = 0;  // the unused half of the last byte
    for (int64_t i = 0; i < n; i += 2) {
      *codes++ = static_cast<std::byte>(code[i] << 4 | code[i + 1]);
    }
  }
}

// Values [begin, begin + count) of the flattened matrix.
void DecodeFlat(const Weight& w, int64_t begin, int64_t count, float* out) {
  while (count > 0) {
    const int64_t row = begin / w.cols(), col = begin % w.cols();
    const int64_t n = std::min(count, w.cols() - col);
    DecodeRow(w, row, col, n, out);
    begin += n;
    count -= n;
    out += n;
  }
}

Weight Encoded(const Weight& source, bool double_quant, Memory& memory, ThreadPool& pool) {
  constexpr int64_t kPieceBlocks = 512, kPieceValues = kPieceBlocks * kNf4BlockValues;
  const int64_t values = source.rows() * source.cols(), bytes = (values + 1) / 2;
  auto buffer = memory.Allocate(bytes);
  const int64_t blocks = (values + kNf4BlockValues - 1) / kNf4BlockValues;
  Tensor absmax = Tensor::Make(memory, {blocks}, DType::kF32);
  const Tensor flat_of = Tensor::Make(memory, {pool.threads(), kPieceValues}, DType::kF32);
  pool.For((values + kPieceValues - 1) / kPieceValues, [&](int64_t piece, int worker) {
    float* flat = flat_of.data<float>() + worker * kPieceValues;
    const int64_t begin = piece * kPieceValues, n = std::min(kPieceValues, values - begin);
    DecodeFlat(source, begin, n, flat);
    EncodeFlat({flat, static_cast<size_t>(n)}, buffer->data() + begin / 2,
               absmax.data<float>() + piece * kPieceBlocks);
  });
  Nf4Scales scales;
  if (double_quant) {
    scales = DoubleQuantised({absmax.data<float>(), static_cast<size_t>(blocks)}, memory);
  } else {
    scales.absmax = std::move(absmax);
  }
  const Bytes view(buffer->data(), static_cast<size_t>(bytes));
  return Weight(WeightFormat::kNF4, source.rows(), source.cols(), view, std::move(buffer),
                std::move(scales));
}

}  // namespace

std::span<const float, 16> Nf4Codes() { return kCodes; }

extern const BlockFormat kNf4Format = {.name = "nf4",
                                       .block_elements = kNf4BlockValues,
                                       .block_bytes = kNf4BlockBytes,
                                       .alignment = 1,
                                       .kl_limit = 1.0,
                                       .flattened = true,
                                       .decode = Decode,
                                       .columns = DecodeColumns,
                                       .convert = Encoded};

}  // namespace retort
