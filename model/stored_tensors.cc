// SPDX-License-Identifier: Apache-2.0
#include "model/stored_tensors.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "tensor/quant/finite.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

// Moves whole rows, so it works for any format.
Weight HuggingFaceOrder(const Weight& w, const RowOrder& order, Memory& memory) {
  const auto row_bytes = static_cast<size_t>(RowBytes(w.format(), w.cols()));
  const auto buffer = memory.Allocate(static_cast<int64_t>(w.bytes().size()));
  for (int64_t r = 0; r < w.rows(); ++r) {
    const auto to = static_cast<size_t>(order.HuggingFaceRow(r, w.rows())) * row_bytes;
    std::memcpy(buffer->data() + to, w.bytes().data() + static_cast<size_t>(r) * row_bytes,
                row_bytes);
  }
  return Weight(w.format(), w.rows(), w.cols(), {buffer->data(), w.bytes().size()}, buffer);
}

// All values of a weight.
std::vector<float> Decoded(const Weight& w) {
  std::vector<float> values(static_cast<size_t>(w.rows() * w.cols()));
  for (int64_t r = 0; r < w.rows(); ++r) DecodeRow(w, r, 0, w.cols(), values.data() + r * w.cols());
  return values;
}

// One matrix of the two that a GGUF keeps (HeadSplit): in their type if its values stand alone, so
// that they can be transposed, else in f32.
Weight JoinSplit(const ModelFiles& files, const TensorSpec& spec, Memory& memory) {
  const HeadSplit& s = spec.split;
  const int64_t cols = spec.shape[1];
  const Weight first = files.tensors.Load(s.first_name, {s.heads, cols, s.first});
  const Weight second = files.tensors.Load(s.second_name, {s.heads, s.second, cols});
  const std::vector<float> firsts = Decoded(first), seconds = Decoded(second);
  const bool plain =
      first.format() == second.format() && TraitsOf(first.format()).block_elements == 1;
  const WeightFormat format = plain ? first.format() : WeightFormat::kF32;
  const int64_t row_bytes = RowBytes(format, cols), rows = s.first + s.second;
  const auto bytes = static_cast<size_t>(spec.shape[0] * row_bytes);
  const auto buffer = memory.Allocate(static_cast<int64_t>(bytes));
  std::vector<float> row(static_cast<size_t>(cols));
  for (int64_t i = 0; i < spec.shape[0]; ++i) {
    const int64_t head = i / rows, r = i % rows;
    for (int64_t c = 0; c < cols; ++c) {
      const auto at = r < s.first ? (head * cols + c) * s.first + r
                                  : (head * s.second + r - s.first) * cols + c;
      row[static_cast<size_t>(c)] = (r < s.first ? firsts : seconds)[static_cast<size_t>(at)];
    }
    EncodeRow(format, row.data(), cols, buffer->data() + i * row_bytes);
  }
  return Weight(format, spec.shape[0], cols, {buffer->data(), bytes}, buffer);
}

// As stored: a whole tensor, or one expert's slice of one.
Weight FetchStored(const ModelFiles& files, const TensorSpec& spec, ThreadPool* pool = nullptr) {
  const TensorPlace place = PlaceOf(files, spec);
  const Weight stored = files.tensors.Load(place.name, place.shape, pool);
  return spec.is_matrix() ? stored.RowRange(place.begin, spec.shape[0]) : stored;
}

}  // namespace

std::string HeadName(const ModelFiles& files) {
  return files.layout.of(files.layout.head).name + ".weight";
}

bool IsStacked(const ModelFiles& files, const TensorSpec& spec) {
  return !files.gguf && !spec.stacked.name.empty() && files.tensors.Find(spec.stacked.name);
}

bool IsSplit(const ModelFiles& files, const TensorSpec& spec) {
  return files.gguf && spec.split.present() && !files.tensors.Find(spec.gguf_name);
}

std::vector<std::string> StoredNames(const ModelFiles& files, const TensorSpec& spec) {
  if (IsSplit(files, spec)) return {spec.split.first_name, spec.split.second_name};
  return {PlaceOf(files, spec).name};
}

TensorPlace PlaceOf(const ModelFiles& files, const TensorSpec& spec) {
  if (files.gguf)
    return {spec.gguf_name, spec.gguf_shape(), std::max<int64_t>(0, spec.expert) * spec.shape[0]};
  if (!files.tensors.Find(spec.name)) {
    if (IsStacked(files, spec)) return spec.stacked;
    const LinearSpec* linear = files.layout.LinearOf(spec);
    if (files.config.head.tied && linear && linear->use == LinearUse::kEmbedding)
      return {HeadName(files), spec.shape};
  }
  return {spec.name, spec.shape};
}

void CheckFinite(const ModelFiles& files, const TensorSpec& spec, ThreadPool& pool) {
  if (IsSplit(files, spec)) {
    for (const std::string& name : StoredNames(files, spec)) {
      CheckFinite(files.tensors.Load(name, files.tensors.Find(name)->shape), files.tensors.where(),
                  Quoted(name), 0, pool);
    }
    return;
  }
  const TensorPlace place = PlaceOf(files, spec);
  CheckFinite(FetchStored(files, spec, &pool), files.tensors.where(), Quoted(place.name),
              place.begin, pool);
}

Weight FetchTensor(const ModelFiles& files, const TensorSpec& spec, Memory& memory,
                   ThreadPool* pool) {
  if (IsSplit(files, spec)) return JoinSplit(files, spec, memory);
  Weight stored = FetchStored(files, spec, pool);
  if (!files.gguf || spec.order.same()) return stored;
  return HuggingFaceOrder(stored, spec.order, memory);
}

std::vector<float> FetchVector(const ModelFiles& files, const TensorSpec& spec) {
  const Weight stored = FetchStored(files, spec);
  std::vector<float> values = Decoded(stored);
  CheckFinite(values, files.tensors.where(), Quoted(PlaceOf(files, spec).name));
  if (!files.gguf) {
    for (float& v : values) v = static_cast<float>(v + spec.offset);
    return values;
  }
  std::vector<float> ordered(values.size());
  for (int64_t i = 0; i < spec.elements(); ++i)
    ordered[static_cast<size_t>(spec.order.HuggingFaceRow(i, spec.elements()))] =
        values[static_cast<size_t>(i)];
  return ordered;
}

}  // namespace retort
