// SPDX-License-Identifier: Apache-2.0
// Reads an adapter's tensors from PEFT's file.
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "formats/safetensors.h"
#include "model/adapter.h"
#include "tensor/quant/finite.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

// The parts of keys that the adapter's name follows in a trainer's state.
constexpr std::string_view kBeforeName[] = {".lora_A",
                                            ".lora_B",
                                            ".lora_embedding_A",
                                            ".lora_embedding_B",
                                            ".lora_magnitude_vector",
                                            ".modules_to_save",
                                            ".trainable_tokens_delta"};

// The adapter's name with its dot, ".default", where the keys hold one: "lora_A.default.weight".
std::string NameInKeys(const TensorTable& table) {
  std::optional<std::string> name;
  for (const TensorEntry& entry : table.entries()) {
    for (const std::string_view factor : {".lora_A.", ".lora_B."}) {
      const size_t at = entry.name.rfind(factor);
      if (at == std::string::npos || !entry.name.ends_with(".weight")) continue;
      const size_t begin = at + factor.size() - 1, end = entry.name.size() - 7;  // ".weight"
      const std::string found = end > begin ? entry.name.substr(begin, end - begin) : "";
      if (name && found != *name) {
        throw InputError(table.where(), ": holds keys that end in '", *name, ".weight' and in '",
                         found, ".weight'; keep the tensors of one adapter");
      }
      name = found;
    }
  }
  return name.value_or("");
}

// The key as PEFT writes it in an adapter's folder.
std::string PlainKey(std::string key, const std::string& name) {
  for (const std::string_view part : kBeforeName) {
    const size_t at = key.rfind(part);
    if (at == std::string::npos) continue;
    if (!name.empty() && key.compare(at + part.size(), name.size(), name) == 0)
      key.erase(at + part.size(), name.size());
    if (part == ".modules_to_save") key.erase(at, part.size());
    if (part == ".lora_magnitude_vector" && key.ends_with(".weight")) key.resize(key.size() - 7);
  }
  return key;
}

// The file's keys by PEFT's.
std::map<std::string, std::string> KeysOf(const TensorTable& table) {
  const std::string name = NameInKeys(table);
  std::map<std::string, std::string> keys;
  for (const TensorEntry& entry : table.entries()) {
    const auto [place, is_new] = keys.emplace(PlainKey(entry.name, name), entry.name);
    if (!is_new)
      throw InputError(table.where(), ": holds ", Quoted(place->second), " and ",
                       Quoted(entry.name), ", which are the same tensor of an adapter; keep one");
  }
  return keys;
}

// The tensor's shape in the file, with `start` if the file holds that too.
std::vector<int64_t> ShapeInFile(const AdapterTensor& t, const TensorEntry* entry) {
  const Shape& shape = t.shape;
  std::vector<int64_t> dims;
  dims.reserve(2);
  for (int i = 0; i < shape.rank(); ++i) dims.push_back(shape[i]);
  if (t.form == AdapterTensor::Form::kTransposed) std::swap(dims[0], dims[1]);
  if (t.of_experts()) dims = t.ShapeOfExperts();
  if (!t.start || !entry) return dims;
  std::vector<int64_t> doubled = dims;
  doubled[t.form == AdapterTensor::Form::kAbove ? 0 : 1] *= 2;
  return entry->shape == doubled ? doubled : dims;
}

// Decodes a file's tensors, keeping the last one: the factors of experts share theirs.
class TensorReader {
 public:
  TensorReader(const TensorTable& table, Backend& backend) : table_(table), backend_(backend) {}

  std::vector<float> ValuesOf(const AdapterTensor& t, const std::string& name) {
    const std::vector<int64_t> shape = ShapeInFile(t, table_.Find(name));
    if (name != name_) Decode(t, name, shape);
    if (t.shape.rank() < 2) return values_;
    const int64_t rows = t.shape[0], cols = t.shape[1];
    std::vector<float> out(static_cast<size_t>(rows * cols));
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        out[static_cast<size_t>(r * cols + c)] =
            values_[static_cast<size_t>(t.PlaceInFile(r, c, shape.back()))];
      }
    }
    return out;
  }

 private:
  void Decode(const AdapterTensor& t, const std::string& name, const std::vector<int64_t>& shape) {
    const Weight w = table_.Load(name, shape);
    CheckFinite(w, table_.where(), Quoted(t.key), 0, backend_.pool());
    values_.resize(static_cast<size_t>(w.rows() * w.cols()));
    for (int64_t r = 0; r < w.rows(); ++r)
      DecodeRow(w, r, 0, w.cols(), values_.data() + r * w.cols());
    for (float& v : values_) v = static_cast<float>(v + t.offset);
    name_ = name;
  }

  const TensorTable& table_;
  Backend& backend_;
  std::string name_;
  std::vector<float> values_;
};

}  // namespace

int64_t AdapterTensor::PlaceInFile(int64_t r, int64_t c, int64_t file_cols) const {
  switch (form) {
    case Form::kTransposed:
      return c * file_cols + r;
    case Form::kExpertA:
      return (experts.expert * shape[0] + r) * file_cols + c;
    case Form::kExpertB:
      return (experts.first_row + r) * file_cols + c * experts.count + experts.expert;
    default:
      return r * file_cols + c;
  }
}

std::vector<int64_t> AdapterTensor::ShapeOfExperts() const {
  if (form == Form::kExpertA) return {shape[0] * experts.count, shape[1]};
  return {experts.rows, shape[1] * experts.count};
}

void Adapter::Read(const TensorTable& table, Backend& backend) {
  const std::map<std::string, std::string> keys = KeysOf(table);
  TensorReader reader(table, backend);
  std::set<std::string> used;
  // A file's tensor by itself: those of experts are wanted one after the other.
  std::vector<AdapterTensor> wanted = tensors();
  std::ranges::stable_sort(wanted, {}, &AdapterTensor::key);
  for (const AdapterTensor& t : wanted) {
    const auto found = keys.find(t.key);
    const std::string& name = found == keys.end() ? t.key : found->second;
    t.parameter->value = backend.FromFloats(reader.ValuesOf(t, name), t.shape);
    used.insert(t.key);
  }
  for (const auto& [key, name] : keys) {
    // A targeted embedding's own weights, which PEFT writes too.
    const bool of_base = key.ends_with(".base_layer.weight");
    if (!used.contains(key) && !of_base) {
      throw InputError(table.where(), ": tensor '", name, "' belongs to no layer of this model");
    }
  }
  Changed();
}

}  // namespace retort
