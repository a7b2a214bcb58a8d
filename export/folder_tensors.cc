// SPDX-License-Identifier: Apache-2.0
#include "export/folder_tensors.h"

#include <algorithm>

#include "base/error.h"
#include "model/stored_tensors.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr int64_t kPanelValues = int64_t{1} << 20;  // decoded and encoded at once

bool IsPlain(WeightFormat format) { return !TraitsOf(format).safetensors.empty(); }

// Whether the format keeps all values as they are.
bool Holds(WeightFormat format, std::span<const float> values) {
  const auto count = static_cast<int64_t>(values.size());
  std::vector<std::byte> bytes(static_cast<size_t>(RowBytes(format, count)));
  EncodeRow(format, values.data(), count, bytes.data());
  std::vector<float> back(values.size());
  DecodeRow(Weight(format, 1, count, bytes, nullptr), 0, 0, count, back.data());
  return std::ranges::equal(values, back);
}

}  // namespace

WeightFormat FolderFormat(const ModelFiles& source, const std::string& type) {
  if (type != "auto") {
    const WeightFormat format = FormatNamed(type);
    if (IsPlain(format)) return format;
    throw InputError("--type ", type, ": a folder's weights are f32, f16 or bf16");
  }
  const WeightFormat first = source.stored_format();
  for (const TensorSpec& spec : source.layout.tensors) {
    const LinearSpec* linear = source.layout.LinearOf(spec);
    if (!linear || linear->use == LinearUse::kRouter) continue;
    for (const std::string& name : StoredNames(source, spec)) {
      if (source.tensors.Find(name)->format != first) return WeightFormat::kF32;
    }
  }
  return IsPlain(first) ? first : WeightFormat::kF32;
}

std::string TorchType(WeightFormat format) {
  if (format == WeightFormat::kBF16) return "bfloat16";
  return format == WeightFormat::kF16 ? "float16" : "float32";
}

namespace {

// The embedding's type, or f32 if that is no folder's.
WeightFormat PlainFormat(const ModelFiles& source, WeightFormat format) {
  if (IsPlain(format)) return format;
  for (const TensorSpec& spec : source.layout.tensors) {
    const LinearSpec* linear = source.layout.LinearOf(spec);
    if (!linear || linear->use != LinearUse::kEmbedding) continue;
    const WeightFormat stored = source.tensors.Find(StoredNames(source, spec).front())->format;
    if (IsPlain(stored)) return stored;
  }
  return WeightFormat::kF32;
}

}  // namespace

FolderTensors::FolderTensors(const ModelFiles& source, WeightFormat format, ThreadPool& pool)
    : source_(source), format_(format), plain_(PlainFormat(source, format)), pool_(pool) {}

bool FolderTensors::Quantised(const TensorSpec& spec) const {
  const LinearSpec* linear = source_.layout.LinearOf(spec);
  return TraitsOf(format_).flattened && linear && linear->adaptable();
}

// A matrix that is in the format already keeps its bytes.
std::vector<BitsandbytesPart> FolderTensors::PartsOf(const TensorSpec& spec) const {
  const auto memory = MakeHostMemory();
  Weight w = FetchTensor(source_, spec, *memory);
  if (w.format() != format_) w = Requantised(w, format_, /*double_quant=*/true, *memory, pool_);
  return BitsandbytesParts(spec.name, w, TorchType(plain_));
}

void FolderTensors::DropSource(const TensorSpec& spec) const {
  for (const std::string& name : StoredNames(source_, spec)) {
    const TensorEntry& entry = *source_.tensors.Find(name);
    entry.file->Drop(entry.bytes);
  }
}

// Of a gain, a bias or a router.
std::vector<float> FolderTensors::ValuesOf(const TensorSpec& spec) const {
  if (!spec.is_matrix()) {
    std::vector<float> values = FetchVector(source_, spec);
    for (float& v : values) v = static_cast<float>(v - spec.offset);
    return values;
  }
  const auto memory = MakeHostMemory();
  const Weight w = FetchTensor(source_, spec, *memory);
  std::vector<float> values(static_cast<size_t>(spec.elements()));
  for (int64_t r = 0; r < w.rows(); ++r) DecodeRow(w, r, 0, w.cols(), values.data() + r * w.cols());
  return values;
}

WeightFormat FolderTensors::FormatOf(const TensorSpec& spec) const {
  const LinearSpec* linear = source_.layout.LinearOf(spec);
  if (linear && linear->use != LinearUse::kRouter) return plain_;
  return Holds(plain_, ValuesOf(spec)) ? plain_ : WeightFormat::kF32;
}

void FolderTensors::Declare(ShardWriter& writer) const {
  for (const TensorSpec& spec : source_.layout.tensors) {
    CheckFinite(source_, spec, pool_);
    if (!Quantised(spec)) {
      writer.Declare(spec.name, FormatOf(spec), spec.shape);
      continue;
    }
    for (BitsandbytesPart& part : PartsOf(spec)) {
      if (part.raw)
        writer.DeclareIntegers(std::move(part.name), "U8", std::move(part.shape));
      else
        writer.Declare(std::move(part.name), WeightFormat::kF32, std::move(part.shape));
    }
    DropSource(spec);
  }
}

void FolderTensors::Write(const TensorSpec& spec, ShardWriter& writer) const {
  if (Quantised(spec)) {
    for (const BitsandbytesPart& part : PartsOf(spec)) writer.Write(part.name, part.bytes);
    return DropSource(spec);
  }
  const WeightFormat format = FormatOf(spec);
  if (!spec.is_matrix()) {
    const std::vector<float> values = ValuesOf(spec);
    const auto count = static_cast<int64_t>(values.size());
    std::vector<std::byte> bytes(static_cast<size_t>(RowBytes(format, count)));
    EncodeRow(format, values.data(), count, bytes.data());
    return writer.Write(spec.name, bytes);
  }
  const auto memory = MakeHostMemory();
  const Weight w = FetchTensor(source_, spec, *memory);
  const int64_t row_bytes = RowBytes(format, w.cols());
  const int64_t panel = std::min(w.rows(), std::max<int64_t>(1, kPanelValues / w.cols()));
  std::vector<std::byte> bytes(static_cast<size_t>(panel * row_bytes));
  std::vector<std::vector<float>> rows(static_cast<size_t>(pool_.threads()),
                                       std::vector<float>(static_cast<size_t>(w.cols())));
  for (int64_t begin = 0; begin < w.rows(); begin += panel) {
    const int64_t count = std::min(panel, w.rows() - begin);
    pool_.For(count, [&](int64_t i, int worker) {
      float* row = rows[static_cast<size_t>(worker)].data();
      DecodeRow(w, begin + i, 0, w.cols(), row);
      EncodeRow(format, row, w.cols(), bytes.data() + i * row_bytes);
    });
    writer.Write(spec.name, Bytes(bytes).first(static_cast<size_t>(count * row_bytes)));
  }
  DropSource(spec);
}

}  // namespace retort
