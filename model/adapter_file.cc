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
  for (const TensorEntry& entry : table.entries()) keys[PlainKey(entry.name, name)] = entry.name;
  return keys;
}

// The tensor's shape in the file, with `start` if the file holds that too.
std::vector<int64_t> ShapeInFile(const AdapterTensor& t, const TensorEntry* entry) {
  const Shape& shape = t.parameter->value.shape();
  std::vector<int64_t> dims;
  for (int i = 0; i < shape.rank(); ++i) dims.push_back(shape[i]);
  if (t.form == AdapterTensor::Form::kTransposed) std::swap(dims[0], dims[1]);
  if (!t.start || !entry) return dims;
  std::vector<int64_t> doubled = dims;
  doubled[t.form == AdapterTensor::Form::kAbove ? 0 : 1] *= 2;
  return entry->shape == doubled ? doubled : dims;
}

// The parameter's values out of a matrix of the file's shape.
std::vector<float> OwnValues(const AdapterTensor& t, const Weight& w, const std::string& where,
                             Backend& backend) {
  const Tensor& value = t.parameter->value;
  CheckFinite(w, where, Quoted(t.key), 0, backend.pool());
  std::vector<float> all(static_cast<size_t>(w.rows() * w.cols()));
  for (int64_t r = 0; r < w.rows(); ++r) DecodeRow(w, r, 0, w.cols(), all.data() + r * w.cols());
  for (float& v : all) v = static_cast<float>(v + t.offset);
  const bool turned = t.form == AdapterTensor::Form::kTransposed;
  if (value.shape().rank() < 2) return all;
  std::vector<float> out(static_cast<size_t>(value.elements()));
  for (int64_t r = 0; r < value.rows(); ++r) {
    for (int64_t c = 0; c < value.cols(); ++c) {
      out[static_cast<size_t>(r * value.cols() + c)] =
          all[static_cast<size_t>(turned ? c * w.cols() + r : r * w.cols() + c)];
    }
  }
  return out;
}

}  // namespace

void Adapter::Read(const TensorTable& table, Backend& backend) {
  const std::map<std::string, std::string> keys = KeysOf(table);
  std::set<std::string> used;
  for (const AdapterTensor& t : tensors()) {
    const auto found = keys.find(t.key);
    const std::string& name = found == keys.end() ? t.key : found->second;
    const Weight w = table.Load(name, ShapeInFile(t, table.Find(name)));
    t.parameter->value =
        backend.FromFloats(OwnValues(t, w, table.where(), backend), t.parameter->value.shape());
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
