// SPDX-License-Identifier: Apache-2.0
#include "model/model_files.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "formats/bitsandbytes.h"
#include "formats/packed_folder.h"
#include "formats/safetensors.h"
#include "model/spec/gguf_config.h"
#include "model/store/run_folder.h"
#include "model/stored_tensors.h"

namespace retort {
namespace {

constexpr size_t kListed = 8;  // maximum number of faults listed in one error

// Tensors that some exporters store but that the model computes itself, and those that a rope
// reads.
bool IsDerived(const std::string& name) {
  return name.ends_with("rotary_emb.inv_freq") || name == "rope_freqs.weight" ||
         name == "rope_factors_long.weight" || name == "rope_factors_short.weight";
}

std::string EmbeddingName(const ModelFiles& files) {
  return files.layout.of(files.layout.embedding).name + ".weight";
}

// Whether `entry` is a tied head, stored in place of the embedding or as an identical copy of it.
bool IsTiedCopy(const ModelFiles& files, const TensorEntry& entry) {
  if (!files.config.head.tied || entry.name != HeadName(files)) return false;
  const TensorEntry* table = files.tensors.Find(EmbeddingName(files));
  if (!table) return true;
  return table->bytes.size() == entry.bytes.size() &&
         std::memcmp(table->bytes.data(), entry.bytes.data(), entry.bytes.size()) == 0;
}

// The tensors that the files must hold, slices of one tensor each by themselves.
std::vector<std::pair<std::string, std::vector<int64_t>>> StoredTensors(
    const ModelFiles& files, std::vector<std::string>& faults) {
  std::vector<std::pair<std::string, std::vector<int64_t>>> stored;
  for (const TensorSpec& spec : files.layout.tensors) {
    if (IsSplit(files, spec)) {
      const HeadSplit& s = spec.split;
      stored.emplace_back(s.first_name, std::vector<int64_t>{s.heads, spec.shape[1], s.first});
      stored.emplace_back(s.second_name, std::vector<int64_t>{s.heads, s.second, spec.shape[1]});
      continue;
    }
    const TensorPlace place = PlaceOf(files, spec);
    if (IsStacked(files, spec) && place.name == spec.name)
      faults.push_back(
          Cat("'", place.name, "' is there twice, also within '", spec.stacked.name, "'"));
    stored.emplace_back(place.name, place.shape);
  }
  return stored;
}

void CheckTensors(const ModelFiles& files) {
  std::vector<std::string> faults;
  std::set<std::string> expected;
  for (const auto& [name, shape] : StoredTensors(files, faults)) {
    if (!expected.insert(name).second) continue;  // another slice of the same tensor
    const TensorEntry* entry = files.tensors.Find(name);
    if (!entry) {
      faults.push_back(Cat("'", name, "' is missing"));
    } else if (entry->shape != shape) {
      faults.push_back(
          Cat("'", name, "' is ", ShapeText(entry->shape), ", want ", ShapeText(shape)));
    } else if (!entry->is_weight()) {
      faults.push_back(
          Cat("'", name, "' has type ", entry->type_name(), ", which is not supported"));
    }
  }
  for (const TensorEntry& entry : files.tensors.entries()) {
    if (expected.contains(entry.name) || IsDerived(entry.name) || IsTiedCopy(files, entry))
      continue;
    faults.push_back(files.config.head.tied && entry.name == HeadName(files)
                         ? Cat("'", entry.name,
                               "' differs from the embedding although tie_word_embeddings is true")
                         : Cat("'", entry.name, "' belongs to no layer of this model"));
  }
  if (faults.empty()) return;
  const size_t more = faults.size() > kListed ? faults.size() - kListed : 0;
  faults.resize(std::min(faults.size(), kListed));
  throw InputError(files.tensors.where(),
                   ": tensors do not fit the configuration: ", Join(faults, "; "),
                   more ? Cat("; and ", more, " more") : "");
}

// The file's tensor that holds the blocks' first linear layer; null if there is none.
const TensorEntry* FirstStored(const ModelFiles& files) {
  for (const TensorSpec& spec : files.layout.tensors) {
    const LinearSpec* linear = files.layout.LinearOf(spec);
    if (linear && linear->adaptable()) return files.tensors.Find(StoredNames(files, spec).front());
  }
  return nullptr;
}

// Of a folder. Values that are computed are rounded to what config.json calls the weights' type.
TensorTable TensorsOf(const Path& folder) {
  const Json config = ReadJson(folder / "config.json");
  const Json quantization = config.value("quantization_config", Json());
  const Json type = config.value("dtype", config.value("torch_dtype", Json()));
  const WeightFormat plain = type == "float16"   ? WeightFormat::kF16
                             : type == "float32" ? WeightFormat::kF32
                                                 : WeightFormat::kBF16;
  return JoinPacked(JoinBitsandbytes(ReadSafetensorsFolder(folder)), quantization, plain);
}

}  // namespace

WeightFormat ModelFiles::stored_format() const {
  const TensorEntry* first = FirstStored(*this);
  return first ? first->format : WeightFormat::kF32;
}

bool ModelFiles::quantised() const {
  const TensorEntry* first = FirstStored(*this);
  return first && (first->computed || TraitsOf(first->format).block_elements > 1);
}

std::string_view ModelFiles::stored_type() const {
  const TensorEntry* first = FirstStored(*this);
  return first ? first->type_name() : TraitsOf(WeightFormat::kF32).name;
}

ModelFiles OpenModel(const Path& given) {
  const Path path = ModelAt(given);
  ModelFiles files;
  files.path = path;
  if (std::filesystem::is_directory(path)) {
    files.config = ReadConfig(path);
    files.tensors = TensorsOf(path);
  } else {
    files.gguf = std::make_shared<const GgufFile>(ReadGguf(path));
    files.config = ConfigFromGguf(*files.gguf);
    files.tensors = files.gguf->tensors;
  }
  files.layout = LayoutOf(files.config);
  CheckTensors(files);
  return files;
}

}  // namespace retort
