// SPDX-License-Identifier: Apache-2.0
#include "formats/packed_writer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

template <class T>
std::vector<std::byte> BytesOf(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

// Words of 32 bits, into which codes are put one by one, low bits first.
class CodeStream {
 public:
  CodeStream(int64_t rows, int64_t cols, int bits)
      : bits_(bits), words_(static_cast<size_t>(rows * cols * bits / 32)) {
    RETORT_CHECK(32 % bits == 0 && rows * cols * bits % 32 == 0, rows, " x ", cols, " codes of ",
                 bits, " bits");
  }
  // The code at that place of the stream whose words are every `stride`-th from `first`.
  void Put(int64_t first, int64_t stride, int64_t index, uint32_t code) {
    const int64_t bit = index * bits_;
    words_[static_cast<size_t>(first + bit / 32 * stride)] |= code << (bit % 32);
  }
  std::vector<std::byte> bytes() const { return BytesOf(words_); }

 private:
  int bits_;
  std::vector<uint32_t> words_;
};

// [groups, rows], of what is [rows, groups].
template <class T>
std::vector<T> Turned(const GroupIntegers& m, const std::vector<T>& values) {
  std::vector<T> out(values.size());
  const int64_t groups = m.groups();
  for (int64_t r = 0; r < m.rows; ++r) {
    for (int64_t g = 0; g < groups; ++g)
      out[static_cast<size_t>(g * m.rows + r)] = values[static_cast<size_t>(r * groups + g)];
  }
  return out;
}

FolderPart Scales(const std::string& layer, const GroupIntegers& m) {
  return {layer + ".scales", "F16", {m.groups(), m.rows}, BytesOf(Turned(m, m.scales))};
}

}  // namespace

std::vector<FolderPart> GptqParts(const std::string& layer, const GroupIntegers& m) {
  const int bits = m.kind.bits;
  const int64_t groups = m.groups();
  const uint32_t mask = (uint32_t{1} << bits) - 1;
  CodeStream codes(m.cols, m.rows, bits), zeros(groups, m.rows, bits);
  for (int64_t r = 0; r < m.rows; ++r) {
    for (int64_t c = 0; c < m.cols; ++c)
      codes.Put(r, m.rows, c, m.codes[static_cast<size_t>(r * m.cols + c)]);
    for (int64_t g = 0; g < groups; ++g)
      zeros.Put(g * (m.rows * bits / 32), 1, r,
                (m.zeros[static_cast<size_t>(r * groups + g)] - 1u) & mask);
  }
  std::vector<int32_t> group_of(static_cast<size_t>(m.cols));
  for (size_t c = 0; c < group_of.size(); ++c)
    group_of[c] = static_cast<int32_t>(static_cast<int64_t>(c) / m.kind.group);
  return {{layer + ".qweight", "I32", {m.cols * bits / 32, m.rows}, codes.bytes()},
          {layer + ".qzeros", "I32", {groups, m.rows * bits / 32}, zeros.bytes()},
          Scales(layer, m),
          {layer + ".g_idx", "I32", {m.cols}, BytesOf(group_of)}};
}

std::vector<FolderPart> AwqParts(const std::string& layer, const GroupIntegers& m) {
  constexpr int kPlace[8] = {0, 4, 1, 5, 2, 6, 3, 7};  // of an output in its word
  const int64_t groups = m.groups(), row_words = m.rows / 8;
  CodeStream codes(m.cols, m.rows, 4), zeros(groups, m.rows, 4);
  for (int64_t r = 0; r < m.rows; ++r) {
    const int64_t place = r / 8 * 8 + kPlace[r % 8];
    for (int64_t c = 0; c < m.cols; ++c)
      codes.Put(c * row_words, 1, place, m.codes[static_cast<size_t>(r * m.cols + c)]);
    for (int64_t g = 0; g < groups; ++g)
      zeros.Put(g * row_words, 1, place, m.zeros[static_cast<size_t>(r * groups + g)]);
  }
  return {{layer + ".qweight", "I32", {m.cols, row_words}, codes.bytes()},
          {layer + ".qzeros", "I32", {groups, row_words}, zeros.bytes()},
          Scales(layer, m)};
}

std::vector<FolderPart> Int8Parts(const std::string& layer, const Weight& matrix) {
  const int64_t rows = matrix.rows(), cols = matrix.cols();
  std::vector<int8_t> codes(static_cast<size_t>(rows * cols));
  std::vector<float> maxima(static_cast<size_t>(rows)), row(static_cast<size_t>(cols));
  for (int64_t r = 0; r < rows; ++r) {
    DecodeRow(matrix, r, 0, cols, row.data());
    float& maximum = maxima[static_cast<size_t>(r)];
    for (float& v : row) {
      v = ToFloat(ToF16(v));  // as bitsandbytes does first
      maximum = std::max(maximum, std::abs(v));
    }
    const float inverse = maximum > 0 ? 1 / maximum * 127 : 0;  // rounded twice, as PyTorch does
    for (int64_t c = 0; c < cols; ++c)
      codes[static_cast<size_t>(r * cols + c)] =
          static_cast<int8_t>(std::nearbyint(row[static_cast<size_t>(c)] * inverse));
  }
  return {{layer + ".weight", "I8", {rows, cols}, BytesOf(codes)},
          {layer + ".SCB", "F32", {rows}, BytesOf(maxima)},
          {layer + ".weight_format", "U8", {}, std::vector<std::byte>(1)}};
}

Json GptqSettings(const GroupKind& kind) {
  return {{"quant_method", "gptq"},   {"bits", kind.bits},     {"group_size", kind.group},
          {"desc_act", false},        {"sym", kind.symmetric}, {"lm_head", false},
          {"true_sequential", false}, {"damp_percent", 0.01},  {"checkpoint_format", "gptq"}};
}

Json AwqSettings(const GroupKind& kind, const std::vector<std::string>& plain) {
  return {{"quant_method", "awq"}, {"bits", kind.bits},  {"group_size", kind.group},
          {"version", "gemm"},     {"zero_point", true}, {"modules_to_not_convert", plain}};
}

Json Int8Settings(const std::vector<std::string>& plain) {
  return {{"quant_method", "bitsandbytes"},
          {"load_in_8bit", true},
          {"load_in_4bit", false},
          {"llm_int8_threshold", 6.0},
          {"llm_int8_has_fp16_weight", false},
          {"llm_int8_skip_modules", plain}};
}

}  // namespace retort
