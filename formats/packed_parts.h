// SPDX-License-Identifier: Apache-2.0
// What the readers of packed folders share: the tensors that belong to a matrix, and their numbers.
#pragma once

#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "formats/computed_tensor.h"
#include "formats/tensor_file.h"

namespace retort {

// The tensors of a matrix NAME.weight, which are called NAME.qweight and so on. Those that are
// asked for are remembered: they are no tensors of the model.
class PackedParts {
 public:
  PackedParts(const TensorTable& table, std::string name) : table_(table), name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  // "model.safetensors: the parts of 'NAME'"
  std::string place() const;
  // Throws Error{kInput} if it is missing.
  const TensorEntry& Get(const std::string& end);
  const TensorEntry* Find(const std::string& end);  // null if there is none
  // Of this type and shape. Throws Error{kInput} otherwise.
  const TensorEntry& Get(const std::string& end, const std::string& type,
                         const std::vector<int64_t>& shape);
  void CheckShape(const TensorEntry& entry, const std::vector<int64_t>& shape) const;
  const std::set<std::string>& used() const { return used_; }

 private:
  const TensorTable& table_;
  std::string name_;
  std::set<std::string> used_;
};

// Element i of a tensor of I32, wherever it lies.
inline int32_t IntAt(Bytes bytes, int64_t i) {
  int32_t value;
  std::memcpy(&value, bytes.data() + i * int64_t{sizeof(value)}, sizeof(value));
  return value;
}

// The unsigned number of `bits` bits that is `index`-th in a stream of 32-bit words, low bits
// first; the stream's words are every `stride`-th, from `first`.
inline uint32_t BitsAt(Bytes words, int64_t first, int64_t stride, int64_t index, int bits) {
  const int64_t bit = index * bits, word = bit / 32;
  const auto shift = static_cast<int>(bit % 32);
  uint64_t low = static_cast<uint32_t>(IntAt(words, first + word * stride));
  if (shift + bits > 32)
    low |= uint64_t{static_cast<uint32_t>(IntAt(words, first + (word + 1) * stride))} << 32;
  return static_cast<uint32_t>(low >> shift) & ((1u << bits) - 1);
}

// Numbers of F32, F16 or BF16.
class ScaleTensor {
 public:
  // Throws Error{kInput} for another type.
  ScaleTensor(const TensorEntry& entry, const std::string& place);
  float At(int64_t i) const;
  // What a value that is computed with these scales is rounded to.
  WeightFormat FormatOfValues(WeightFormat plain) const {
    return format_ == WeightFormat::kF32 ? plain : format_;
  }
  Bytes bytes() const { return bytes_; }

 private:
  Bytes bytes_;
  WeightFormat format_;
};

// The readers of each kind. `settings` is quantization_config; `where` begins errors about it.
TensorEntry ReadGptq(PackedParts& parts, const Json& settings, const std::string& where,
                     WeightFormat plain);
TensorEntry ReadAwq(PackedParts& parts, const Json& settings, const std::string& where,
                    WeightFormat plain);
// X.weight_packed of compressed-tensors. weights: its settings of this kind of layer.
TensorEntry ReadPackedWeight(PackedParts& parts, const Json& weights, const std::string& where,
                             WeightFormat plain);
// X.weight of I8 or F8_E4M3. block: rows and columns that share a scale, if it is one a block.
TensorEntry ReadScaledWeight(PackedParts& parts, std::optional<std::pair<int64_t, int64_t>> block,
                             WeightFormat plain);

}  // namespace retort
