// SPDX-License-Identifier: Apache-2.0
#include "formats/packed_parts.h"

#include "base/error.h"
#include "base/text.h"

namespace retort {

std::string PackedParts::place() const {
  return Cat(table_.where(), ": the parts of ", Quoted(name_ + ".weight"));
}

const TensorEntry* PackedParts::Find(const std::string& end) {
  const TensorEntry* entry = table_.Find(name_ + end);
  if (entry) used_.insert(entry->name);
  return entry;
}

const TensorEntry& PackedParts::Get(const std::string& end) {
  const TensorEntry* entry = Find(end);
  if (!entry) throw InputError(place(), ": ", Quoted(name_ + end), " is missing");
  return *entry;
}

const TensorEntry& PackedParts::Get(const std::string& end, const std::string& type,
                                    const std::vector<int64_t>& shape) {
  const TensorEntry& entry = Get(end);
  if (entry.type_name() != type) {
    throw InputError(place(), ": ", Quoted(entry.name), " is ", entry.type_name(), ", not ", type);
  }
  CheckShape(entry, shape);
  return entry;
}

void PackedParts::CheckShape(const TensorEntry& entry, const std::vector<int64_t>& shape) const {
  if (entry.shape == shape) return;
  throw InputError(place(), ": ", Quoted(entry.name), " has shape ", ShapeText(entry.shape),
                   ", expected ", ShapeText(shape));
}

ScaleTensor::ScaleTensor(const TensorEntry& entry, const std::string& place)
    : bytes_(entry.bytes), format_(entry.format) {
  const bool known =
      entry.is_weight() && (format_ == WeightFormat::kF32 || format_ == WeightFormat::kF16 ||
                            format_ == WeightFormat::kBF16);
  if (!known) {
    throw InputError(place, ": ", Quoted(entry.name), " is ", entry.type_name(),
                     "; scales may be f32, f16 or bf16");
  }
}

float ScaleTensor::At(int64_t i) const {
  if (format_ == WeightFormat::kF32) {
    float value;
    std::memcpy(&value, bytes_.data() + i * 4, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, bytes_.data() + i * 2, 2);
  return format_ == WeightFormat::kF16 ? ToFloat(F16{bits}) : ToFloat(BF16{bits});
}

}  // namespace retort
