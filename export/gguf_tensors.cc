// SPDX-License-Identifier: Apache-2.0
#include "export/gguf_tensors.h"

#include <algorithm>

#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr int64_t kPanelBytes = int64_t{4} << 20;  // encoded rows per write

}  // namespace

void WriteMatrix(const TensorSpec& spec, const Weight& w, WeightFormat format,
                 std::span<const float> importance, ThreadPool& pool, GgufWriter& writer) {
  const float* weights = importance.empty() ? nullptr : importance.data();
  const int64_t row_bytes = RowBytes(format, w.cols());
  const int64_t panel = std::max<int64_t>(1, kPanelBytes / row_bytes);
  std::vector<std::byte> bytes(static_cast<size_t>(std::min(panel, w.rows()) * row_bytes));
  std::vector<std::vector<float>> rows(static_cast<size_t>(pool.threads()),
                                       std::vector<float>(static_cast<size_t>(w.cols())));
  for (int64_t begin = 0; begin < w.rows(); begin += panel) {
    const int64_t count = std::min(panel, w.rows() - begin);
    pool.For(count, [&](int64_t i, int worker) {
      float* row = rows[static_cast<size_t>(worker)].data();
      DecodeRow(w, spec.order.HuggingFaceRow(begin + i, w.rows()), 0, w.cols(), row);
      EncodeRow(format, row, w.cols(), bytes.data() + i * row_bytes, weights);
    });
    writer.Write(spec.gguf_name, Bytes(bytes).first(static_cast<size_t>(count * row_bytes)));
  }
}

void WriteQuantised(const TensorSpec& spec, const Weight& w, GgufWriter& writer) {
  const auto row_bytes = static_cast<size_t>(RowBytes(w.format(), w.cols()));
  std::vector<std::byte> ordered(w.bytes().size());
  for (int64_t i = 0; i < w.rows(); ++i) {
    const auto from = static_cast<size_t>(spec.order.HuggingFaceRow(i, w.rows()));
    std::ranges::copy(w.bytes().subspan(from * row_bytes, row_bytes),
                      ordered.begin() + i * static_cast<std::ptrdiff_t>(row_bytes));
  }
  writer.Write(spec.gguf_name, ordered);
}

void WriteVector(const TensorSpec& spec, const std::vector<float>& values, GgufWriter& writer) {
  std::vector<float> ordered(values.size());
  const auto size = static_cast<int64_t>(values.size());
  for (int64_t i = 0; i < size; ++i) {
    ordered[static_cast<size_t>(i)] =
        values[static_cast<size_t>(spec.order.HuggingFaceRow(i, size))];
  }
  writer.Write(spec.gguf_name, std::as_bytes(std::span(ordered)));
}

std::vector<int64_t> FirstShape(const TensorSpec& spec) {
  return {spec.split.heads, spec.shape[1], spec.split.first};
}
std::vector<int64_t> SecondShape(const TensorSpec& spec) {
  return {spec.split.heads, spec.split.second, spec.shape[1]};
}
void WriteSplit(const TensorSpec& spec, const Weight& w, WeightFormat first_format,
                WeightFormat second_format, GgufWriter& writer) {
  const HeadSplit& s = spec.split;
  const int64_t cols = w.cols();
  std::vector<float> head(static_cast<size_t>(s.first * cols)), row(static_cast<size_t>(s.first)),
      second(static_cast<size_t>(cols));
  std::vector<std::byte> bytes(static_cast<size_t>(
      std::max(RowBytes(first_format, s.first), RowBytes(second_format, cols))));
  const auto put = [&](const std::string& name, WeightFormat format, const std::vector<float>& v) {
    const auto count = static_cast<int64_t>(v.size());
    EncodeRow(format, v.data(), count, bytes.data());
    writer.Write(name, Bytes(bytes).first(static_cast<size_t>(RowBytes(format, count))));
  };
  for (int64_t h = 0; h < s.heads; ++h) {
    const int64_t begin = h * (s.first + s.second);
    for (int64_t r = 0; r < s.first; ++r) DecodeRow(w, begin + r, 0, cols, head.data() + r * cols);
    for (int64_t c = 0; c < cols; ++c) {
      for (int64_t r = 0; r < s.first; ++r)
        row[static_cast<size_t>(r)] = head[static_cast<size_t>(r * cols + c)];
      put(s.first_name, first_format, row);
    }
    for (int64_t r = 0; r < s.second; ++r) {
      DecodeRow(w, begin + s.first + r, 0, cols, second.data());
      put(s.second_name, second_format, second);
    }
  }
}

}  // namespace retort
