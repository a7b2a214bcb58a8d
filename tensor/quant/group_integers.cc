// SPDX-License-Identifier: Apache-2.0
#include "tensor/quant/group_integers.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "tensor/quant/fit.h"
#include "tensor/quant/format_kernels.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

// A group as a block that codes are chosen for.
template <int kGroup>
struct GroupBlock {
  F16 d;
  uint8_t zero;
  uint8_t q[kGroup];
};

template <int kGroup, int kBits, bool kSymmetric>
struct GroupKernel {
  using Block = GroupBlock<kGroup>;
  static constexpr int kCodes = 1 << kBits, kMiddle = kCodes / 2;

  static BlockGrid Grid(const Block& b) {
    const float d = ScaleOf(b.d);
    return UniformGrid(kSymmetric ? -kMiddle : 0, kCodes, kGroup, d,
                       kSymmetric ? 0 : -d * static_cast<float>(b.zero));
  }
  static void Put(const uint8_t* codes, Block& block) { std::copy_n(codes, kGroup, block.q); }

  static Block Encoded(const float* x, const float* importance) {
    Floats<1> values[kGroup + 1], weight[kGroup + 1];
    for (int i = 0; i < kGroup; ++i) {
      values[i] = Floats<1>{x[i]};
      weight[i] = Floats<1>{importance[i]};
    }
    Block block{};
    if (kSymmetric) {
      Ints<1> codes[kGroup];
      block.d = ToF16(FitAroundZero<1, kGroup>(values, weight, kMiddle, codes)[0]);
      block.zero = kMiddle;
    } else {
      FitZero(values, weight, &block);
    }
    return block;
  }
  // The zero is one of the codes: so the range of the values is widened to hold 0.
  static void FitZero(Floats<1>* values, Floats<1>* weight, Block* block) {
    constexpr float kTop = kCodes - 1;
    values[kGroup] = weight[kGroup] = Floats<1>{};
    FitWithMinimum<1, kGroup + 1> fit;
    Fit<1, kGroup + 1>(values, weight, kCodes - 1, kSearchByImportance, &fit);
    float scale = fit.scale[0], zero = scale > 0 ? std::nearbyint(fit.below[0] / scale) : 0;
    if (zero > kTop) {  // the best grid ends below 0: that which ends at 0, with its best scale
      zero = kTop;
      const float wide = fit.below[0] / kTop;
      float sum_qx = 0, sum_qq = 0;
      for (int i = 0; i < kGroup; ++i) {
        const float q = std::clamp(std::nearbyint(values[i][0] / wide), -kTop, 0.0f);
        sum_qx += weight[i][0] * q * values[i][0];
        sum_qq += weight[i][0] * q * q;
      }
      scale = sum_qq > 0 ? sum_qx / sum_qq : wide;
    }
    block->d = ToF16(scale);
    block->zero = static_cast<uint8_t>(std::max(zero, 0.0f));
  }
  static void Encode(Isa, const float* row, const float* importance, int64_t count,
                     std::byte* out) {
    for (int64_t i = 0; i < count; i += kGroup, out += sizeof(Block)) {
      const Block block = Encoded(row + i, importance + i);
      std::memcpy(out, &block, sizeof block);
    }
  }
};

template <int kGroup, int kBits, bool kSymmetric>
constexpr BlockFormat kGroupFormat = {.name = "group",
                                      .block_elements = kGroup,
                                      .block_bytes = sizeof(GroupBlock<kGroup>),
                                      .alignment = alignof(GroupBlock<kGroup>),
                                      .kl_limit = 1,
                                      .decode = nullptr,
                                      .encode = GroupKernel<kGroup, kBits, kSymmetric>::Encode,
                                      .grid = &kGridOf<GroupKernel<kGroup, kBits, kSymmetric>>};

template <int kGroup>
const BlockFormat& FormatOf(const GroupKind& kind) {
  if (kind.bits == 8) return kGroupFormat<kGroup, 8, true>;
  return kind.symmetric ? kGroupFormat<kGroup, 4, true> : kGroupFormat<kGroup, 4, false>;
}
const BlockFormat& FormatOf(const GroupKind& kind) {
  RETORT_CHECK(kind.bits == 4 || (kind.bits == 8 && kind.symmetric), kind.bits, " bits");
  if (kind.group == 32) return FormatOf<32>(kind);
  if (kind.group == 64) return FormatOf<64>(kind);
  RETORT_CHECK(kind.group == 128, "groups of ", kind.group);
  return FormatOf<128>(kind);
}

}  // namespace

GroupIntegers RoundedToGroups(const Weight& source, const GroupKind& kind,
                              const FeedbackFactor& factor, ThreadPool& pool) {
  constexpr int64_t kRows = 16;  // at once
  const BlockFormat& format = FormatOf(kind);
  const int64_t rows = source.rows(), cols = source.cols();
  RETORT_CHECK(cols % kind.group == 0, cols, " inputs in groups of ", kind.group);
  GroupIntegers out{kind, rows, cols, {}, {}, {}};
  out.codes.resize(static_cast<size_t>(rows * cols));
  out.scales.resize(static_cast<size_t>(rows * out.groups()));
  out.zeros.resize(out.scales.size());
  pool.For((rows + kRows - 1) / kRows, [&](int64_t piece, int) {
    const int64_t begin = piece * kRows, count = std::min(kRows, rows - begin);
    std::vector<float> values(static_cast<size_t>(count * cols));
    for (int64_t r = 0; r < count; ++r)
      DecodeRow(source, begin + r, 0, cols, values.data() + r * cols);
    std::vector<std::byte> blocks(static_cast<size_t>(count * out.groups() * format.block_bytes));
    EncodeRowsWithFeedback(format, factor, values.data(), count, blocks.data());
    for (int64_t g = 0; g < count * out.groups(); ++g) {
      const std::byte* block = blocks.data() + g * format.block_bytes;
      const auto place = static_cast<size_t>(begin * out.groups() + g);
      std::memcpy(&out.scales[place], block, sizeof(F16));
      out.zeros[place] = static_cast<uint8_t>(block[sizeof(F16)]);
      std::memcpy(out.codes.data() + place * static_cast<size_t>(kind.group),
                  block + sizeof(F16) + 1, static_cast<size_t>(kind.group));
    }
  });
  return out;
}

Weight ValuesOf(const GroupIntegers& g, Memory& memory) {
  const Tensor values = Tensor::Make(memory, {g.rows, g.cols}, DType::kF16);
  for (size_t i = 0; i < g.codes.size(); ++i) {
    const size_t group = i / static_cast<size_t>(g.kind.group);
    const int off = g.codes[i] - g.zeros[group];
    values.data<F16>()[i] = ToF16(ScaleOf(g.scales[group]) * static_cast<float>(off));
  }
  return Weight(WeightFormat::kF16, g.rows, g.cols,
                Bytes(values.raw(), static_cast<size_t>(values.bytes())),
                std::make_shared<Tensor>(values));
}

}  // namespace retort
