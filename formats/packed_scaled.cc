// SPDX-License-Identifier: Apache-2.0
// Matrices of I8 or F8_E4M3 with scales.
#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "formats/packed_parts.h"

namespace retort {
namespace {

// 4 bits of exponent with bias 7, 3 of mantissa; no infinities, and NaN where all are set (OCP
// 8-bit floating point, E4M3).
float FromE4M3(uint8_t code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<float>::quiet_NaN();
  const float size = exponent == 0 ? static_cast<float>(mantissa) / 8 * 0x1p-6f
                                   : (1 + static_cast<float>(mantissa) / 8) *
                                         static_cast<float>(1 << exponent) * 0x1p-7f;
  return code & 128 ? -size : size;
}

std::array<float, 256> ValuesOf(bool integers) {
  std::array<float, 256> values;
  for (int code = 0; code < 256; ++code) {
    const auto byte = static_cast<uint8_t>(code);
    values[static_cast<size_t>(code)] =
        integers ? static_cast<float>(static_cast<int8_t>(byte)) : FromE4M3(byte);
  }
  return values;
}

class Scaled : public ComputedTensor {
 public:
  Scaled(PackedParts& parts, const TensorEntry& codes, const TensorEntry& scales,
         std::optional<std::pair<int64_t, int64_t>> block)
      : codes_(codes.bytes),
        cols_(codes.shape[1]),
        integers_(codes.type_name() == "I8"),
        values_(ValuesOf(integers_)),
        scales_(scales, parts.place()) {
    const int64_t rows = codes.shape[0];
    sources_.push_back(scales.bytes);
    rows_a_scale_ = rows, cols_a_scale_ = cols_;
    if (block) {
      std::tie(rows_a_scale_, cols_a_scale_) = *block;
      if (rows_a_scale_ < 1 || cols_a_scale_ < 1)
        throw InputError(parts.place(), ": blocks of ", rows_a_scale_, " x ", cols_a_scale_);
      rows_a_scale_ = std::min(rows_a_scale_, rows), cols_a_scale_ = std::min(cols_a_scale_, cols_);
      grid_cols_ = (cols_ + cols_a_scale_ - 1) / cols_a_scale_;
      parts.CheckShape(scales, {(rows + rows_a_scale_ - 1) / rows_a_scale_, grid_cols_});
    } else if (ElementsOf(scales.shape, parts.place()) != 1) {
      const int64_t groups = scales.shape.size() == 2 ? scales.shape[1] : 1;
      if (groups < 1 || cols_ % groups != 0) parts.CheckShape(scales, {rows, 1});
      rows_a_scale_ = 1, cols_a_scale_ = cols_ / groups, grid_cols_ = groups;
      if (scales.shape.size() != 1 || scales.shape[0] != rows)
        parts.CheckShape(scales, {rows, groups});
    }
    const TensorEntry* zeros = parts.Find(".weight_zero_point");
    if (!zeros) return;
    if (zeros->type_name() != "I8" || zeros->shape != scales.shape)
      throw InputError(parts.place(), ": ", Quoted(zeros->name), " must be I8 ",
                       ShapeText(scales.shape));
    zeros_ = zeros->bytes;
    sources_.push_back(zeros_);
  }

  void Rows(int64_t begin, int64_t count, float* out) const override {
    for (int64_t r = begin; r < begin + count; ++r) {
      for (int64_t c = 0; c < cols_; c += cols_a_scale_) {
        const int64_t at = r / rows_a_scale_ * grid_cols_ + c / cols_a_scale_;
        const float scale = scales_.At(at);
        const float zero =
            zeros_.empty()
                ? 0
                : static_cast<float>(static_cast<int8_t>(zeros_[static_cast<size_t>(at)]));
        for (int64_t i = c; i < std::min(cols_, c + cols_a_scale_); ++i)
          *out++ =
              (values_[static_cast<uint8_t>(codes_[static_cast<size_t>(r * cols_ + i)])] - zero) *
              scale;
      }
    }
  }
  std::string_view type() const override { return integers_ ? "scaled int8" : "fp8"; }
  std::vector<Bytes> sources() const override { return sources_; }
  WeightFormat FormatOfValues(WeightFormat plain) const { return scales_.FormatOfValues(plain); }

 private:
  Bytes codes_, zeros_;
  int64_t cols_, rows_a_scale_ = 1, cols_a_scale_ = 1, grid_cols_ = 1;
  bool integers_;
  std::array<float, 256> values_;
  ScaleTensor scales_;
  std::vector<Bytes> sources_;
};

}  // namespace

TensorEntry ReadScaledWeight(PackedParts& parts, std::optional<std::pair<int64_t, int64_t>> block,
                             WeightFormat plain) {
  const TensorEntry& codes = parts.Get(".weight");
  if (codes.shape.size() != 2 || codes.shape[0] < 1 || codes.shape[1] < 1)
    throw InputError(parts.place(), ": a matrix of codes has shape ", ShapeText(codes.shape));
  const TensorEntry* inverse = parts.Find(".weight_scale_inv");
  const TensorEntry& scales = inverse ? *inverse : parts.Get(".weight_scale");
  const auto made = std::make_shared<Scaled>(parts, codes, scales, block);
  TensorEntry out = codes;
  out.format = made->FormatOfValues(plain);
  out.other_type.clear();
  out.computed = made;
  return out;
}

}  // namespace retort
