// SPDX-License-Identifier: Apache-2.0
#include "export/merged_weights.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace retort {
namespace {

bool HasBaseBias(const Layout& layout, LinearId id) {
  return std::ranges::any_of(layout.tensors, [&](const TensorSpec& spec) {
    return spec.target.kind == Target::Kind::kBias && spec.target.id == id;
  });
}

// DoRA: the row at the norm that was learnt for it; zeros stay zeros, as in ResizeColumns.
void BringToNorm(std::span<float> row, float size) {
  double squares = 0;
  for (const float v : row) squares += double{v} * v;
  if (squares == 0) return;
  const double factor = size / std::sqrt(squares);
  for (float& v : row) v = static_cast<float>(v * factor);
}

}  // namespace

MergedWeights::MergedWeights(const ModelFiles& files, const Adapter& adapter, Backend& backend)
    : layout_(files.layout), adapter_(adapter), backend_(backend), tied_(files.config.head.tied) {
  for (size_t i = 0; i < layout_.linears.size(); ++i) {
    const auto id = static_cast<LinearId>(i);
    const AdapterSite* site = adapter_.at(id);
    if (!site || !site->bias || HasBaseBias(layout_, id)) continue;
    throw InputError(files.path.string(), ": has no bias in ", layout_.linears[i].name,
                     ", into which the adapter's (lora_bias) could be merged; use it unmerged");
  }
}

bool MergedWeights::Changes(LinearId layer) const {
  return adapter_.at(layer) || adapter_.own_weight(layer) || adapter_.rows(layer);
}

bool MergedWeights::ChangesVector(const TensorSpec& spec) const {
  if (spec.target.kind == Target::Kind::kGain) return adapter_.own_gain(spec.target.id);
  const AdapterSite* site = adapter_.at(spec.target.id);
  return adapter_.own_bias(spec.target.id) || (site && site->bias);
}

bool MergedWeights::Unties() const {
  const auto apart = [&](LinearId id) { return adapter_.at(id) || adapter_.own_weight(id); };
  return tied_ && (apart(layout_.embedding) || apart(layout_.head));
}

void MergedWeights::AddProduct(std::span<float> rows, int64_t begin, float scale, const Tensor& b,
                               const Tensor& a) const {
  const int64_t cols = a.cols(), count = std::ssize(rows) / cols;
  Tensor product = backend_.New({count, cols});
  backend_.Gemm(false, false, scale, b.RowRange(begin, count), a, 0, product);
  const std::vector<float> values = backend_.ToFloats(product);
  for (size_t i = 0; i < values.size(); ++i) rows[i] += values[i];
}

void MergedWeights::MergeRows(LinearId layer, int64_t begin, std::span<float> rows) const {
  const int64_t cols = layout_.of(layer).cols, count = std::ssize(rows) / cols;
  const auto row = [&](int64_t i) {
    return rows.subspan(static_cast<size_t>(i * cols), static_cast<size_t>(cols));
  };
  if (const Parameter* own = adapter_.own_weight(layer))
    backend_.CopyFloats(own->value.RowRange(begin, count), rows);
  if (const AdapterSite* site = adapter_.at(layer)) {
    AddProduct(rows, begin, site->scale, site->b.value, site->a.value);
    if (site->has_start()) AddProduct(rows, begin, site->scale, site->minus_start_b, site->start_a);
    if (site->magnitude) {
      const std::vector<float> sizes = backend_.ToFloats(site->magnitude->value.Part(begin, count));
      for (int64_t i = 0; i < count; ++i) BringToNorm(row(i), sizes[static_cast<size_t>(i)]);
    }
  }
  if (const TrainedRows* trained = adapter_.rows(layer)) {
    for (size_t n = 0; n < trained->ids.size(); ++n) {
      const int64_t i = trained->ids[n] - begin;
      if (i >= 0 && i < count)
        backend_.CopyFloats(trained->rows.value.RowRange(static_cast<int64_t>(n), 1), row(i));
    }
  }
}

void MergedWeights::MergeVector(const TensorSpec& spec, std::span<float> values) const {
  const bool gain = spec.target.kind == Target::Kind::kGain;
  const Parameter* own =
      gain ? adapter_.own_gain(spec.target.id) : adapter_.own_bias(spec.target.id);
  if (own) backend_.CopyFloats(own->value, values);
  const AdapterSite* site = gain ? nullptr : adapter_.at(spec.target.id);
  if (!site || !site->bias) return;
  const std::vector<float> more = backend_.ToFloats(site->bias->value);
  for (size_t i = 0; i < more.size(); ++i) values[i] += site->scale * more[i];
}

}  // namespace retort
