// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/decode.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "tensor/quant/decode_kernels.h"
#include "tensor/quant/nf4.h"
#include "tensor/quant/quant.h"
#include "tensor/quant/strips.h"

namespace retort {
namespace {

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

template <class Block, class Kernel>
void DecodeStrip(Isa isa, const Weight& w, int64_t row, int64_t begin, int64_t count, float* out) {
  DecodeRange<kBlockValues>(begin, count, out, [&](int64_t first, int64_t n, float* to) {
    for (int64_t i = 0; i < n; ++i) {
      const Block block = BlockOf<Block>(w, row, first + i);
      CallSimd<Kernel>(isa, &block, int64_t{1}, to + i * kBlockValues);
    }
  });
}

}  // namespace

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
  if (w.layout() == WeightLayout::kStrips) {
    return w.format() == WeightFormat::kQ8_0 ? DecodeStrip<BlockQ8_0, Q8Kernel>(isa, w, row, begin, count, out)
                                             : DecodeStrip<BlockQ4_0, Q4Kernel>(isa, w, row, begin, count, out);
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
