// SPDX-License-Identifier: Apache-2.0
#include "model/load.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/machine.h"
#include "formats/safetensors.h"
#include "model/spec/gguf_config.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr size_t kListed = 8;  // faults that one error names

// The tensor's name in the file at hand. A tied model may store only its head.
std::string StoredName(const ModelFiles& files, const TensorSpec& spec) {
  if (files.gguf) return spec.gguf_name;
  if (files.config.tied && spec.role == TensorSpec::Role::kEmbedding &&
      !files.tensors.Find(spec.name)) {
    return "lm_head.weight";
  }
  return spec.name;
}

// Tensors that some exporters leave in the file and that the model computes by itself.
bool IsDerived(const std::string& name) {
  return name.ends_with("rotary_emb.inv_freq") || name == "rope_freqs.weight";
}

// A tied head stored beside its embedding must be the same tensor.
bool IsTiedCopy(const ModelFiles& files, const TensorEntry& entry) {
  if (!files.config.tied || entry.name != "lm_head.weight") return false;
  const TensorEntry* table = files.tensors.Find("model.embed_tokens.weight");
  if (!table) return true;
  return table->bytes.size() == entry.bytes.size() &&
         std::memcmp(table->bytes.data(), entry.bytes.data(), entry.bytes.size()) == 0;
}

void CheckTensors(const ModelFiles& files) {
  std::vector<std::string> faults;
  std::set<std::string> expected;
  for (const TensorSpec& spec : ModelTensors(files.config)) {
    const std::string name = StoredName(files, spec);
    expected.insert(name);
    const TensorEntry* entry = files.tensors.Find(name);
    if (!entry) {
      faults.push_back(Cat("'", name, "' is missing"));
    } else if (entry->shape != spec.shape) {
      faults.push_back(
          Cat("'", name, "' is ", ShapeText(entry->shape), ", want ", ShapeText(spec.shape)));
    } else if (!entry->is_weight()) {
      faults.push_back(
          Cat("'", name, "' has type ", entry->type_name(), ", which is not supported"));
    }
  }
  for (const TensorEntry& entry : files.tensors.entries()) {
    if (expected.contains(entry.name) || IsDerived(entry.name) || IsTiedCopy(files, entry))
      continue;
    faults.push_back(
        files.config.tied && entry.name == "lm_head.weight"
            ? "'lm_head.weight' differs from the embedding although tie_word_embeddings is true"
            : Cat("'", entry.name, "' belongs to no layer of this model"));
  }
  if (faults.empty()) return;
  const size_t more = faults.size() > kListed ? faults.size() - kListed : 0;
  faults.resize(std::min(faults.size(), kListed));
  throw InputError(files.tensors.where(),
                   ": tensors do not fit the configuration: ", Join(faults, "; "),
                   more ? Cat("; and ", more, " more") : "");
}

// GGUF's llama architecture interleaves the rows of q and k; whole rows move, so any format will do.
Weight HuggingFaceOrder(const Weight& w, int64_t heads, Memory& memory) {
  const auto row_bytes = static_cast<size_t>(RowBytes(w.format(), w.cols()));
  const auto buffer = memory.Allocate(static_cast<int64_t>(w.bytes().size()));
  for (int64_t r = 0; r < w.rows(); ++r) {
    const auto to = static_cast<size_t>(HuggingFaceRow(r, w.rows(), heads)) * row_bytes;
    std::memcpy(buffer->data() + to, w.bytes().data() + static_cast<size_t>(r) * row_bytes,
                row_bytes);
  }
  return Weight(w.format(), w.rows(), w.cols(), {buffer->data(), w.bytes().size()}, buffer);
}

// Fills a Model from its files, tensor by tensor.
class Loader {
 public:
  Loader(const ModelFiles& files, const LoadOptions& options, Backend& backend)
      : files_(files),
        options_(options),
        backend_(backend),
        model_(std::make_unique<Model>(files.config, backend)) {}

  std::unique_ptr<Model> Load() {
    for (const TensorSpec& spec : ModelTensors(files_.config)) Place(spec);
    return std::move(model_);
  }

 private:
  using Role = TensorSpec::Role;

  void Place(const TensorSpec& spec) {
    if (spec.layer < 0) return PlaceOutside(spec);
    Layer& layer = model_->layers[static_cast<size_t>(spec.layer)];
    Projection& projection = layer.projections[static_cast<size_t>(spec.slot)];
    switch (spec.role) {
      case Role::kLinear:
        return PlaceMatrix(spec, projection.frozen, projection.trained);
      case Role::kBias:
        return PlaceVector(spec, projection.bias);
      case Role::kAttentionNorm:
        return PlaceVector(spec, layer.attention_norm);
      case Role::kFfnNorm:
        return PlaceVector(spec, layer.ffn_norm);
      case Role::kQNorm:
        return PlaceVector(spec, layer.q_norm);
      case Role::kKNorm:
        return PlaceVector(spec, layer.k_norm);
      case Role::kEmbedding:
      case Role::kHead:
      case Role::kFinalNorm:
        break;
    }
    RETORT_CHECK(false, "tensor '", spec.name, "' is of no block");
  }

  void PlaceOutside(const TensorSpec& spec) {
    if (spec.role == Role::kFinalNorm) return PlaceVector(spec, model_->final_norm);
    TokenTable& table = spec.role == Role::kHead ? model_->head : model_->embedding;
    PlaceMatrix(spec, table.frozen, table.trained);
    if (spec.role == Role::kHead || !files_.config.tied) return;
    model_->head = table;
    if (!options_.copy) return;
    model_->head.frozen = backend_.Resident(table.frozen);
    DropSource(spec);
  }

  void PlaceMatrix(const TensorSpec& spec, Weight& frozen, Var& trained) {
    Weight stored = FetchTensor(files_, spec);
    const auto source_owner = stored.owner();
    if (options_.trainable) {
      std::vector<float> values(static_cast<size_t>(stored.rows() * stored.cols()));
      for (int64_t r = 0; r < stored.rows(); ++r) {
        DecodeRow(stored, r, 0, stored.cols(), values.data() + r * stored.cols());
      }
      trained = Trained(spec.name, backend_.FromFloats(values, {stored.rows(), stored.cols()}));
      return;
    }
    const auto wanted = WantedFormat(spec, stored.format());
    frozen = wanted == stored.format()
                 ? std::move(stored)
                 : Requantised(stored, wanted, options_.double_quant, backend_.memory(), backend_.pool());
    // Of an embedding few rows are ever read.
    if (options_.copy && spec.role != Role::kEmbedding) frozen = backend_.Resident(frozen);
    if (frozen.owner() != source_owner) DropSource(spec);
  }

  WeightFormat WantedFormat(const TensorSpec& spec, WeightFormat stored) const {
    if (!options_.weights) return stored;
    if (*options_.weights == WeightFormat::kNF4) {
      const bool plain = TraitsOf(stored).block_elements == 1;
      return spec.role == Role::kLinear && plain ? WeightFormat::kNF4 : stored;
    }
    return *options_.weights;
  }

  void DropSource(const TensorSpec& spec) const {
    if (const TensorEntry* entry = files_.tensors.Find(StoredName(files_, spec)))
      entry->file->Drop(entry->bytes);
  }

  void PlaceVector(const TensorSpec& spec, Var& out) {
    const Tensor values = backend_.FromFloats(FetchVector(files_, spec), {spec.shape[0]});
    out = options_.trainable ? Trained(spec.name, values) : Var{values};
  }

  Var Trained(const std::string& name, Tensor value) {
    return model_->parameters.emplace_back(std::make_unique<Parameter>(name, std::move(value)))
        ->var();
  }

  const ModelFiles& files_;
  const LoadOptions& options_;
  Backend& backend_;
  std::unique_ptr<Model> model_;
};

}  // namespace

WeightFormat ModelFiles::stored_format() const {
  for (const TensorSpec& spec : ModelTensors(config)) {
    if (spec.role == TensorSpec::Role::kLinear)
      return tensors.Find(StoredName(*this, spec))->format;
  }
  return WeightFormat::kF32;
}

ModelFiles OpenModel(const Path& path) {
  ModelFiles files;
  files.path = path;
  if (std::filesystem::is_directory(path)) {
    files.config = ReadConfig(path);
    files.tensors = ReadSafetensorsFolder(path);
  } else {
    files.gguf = std::make_shared<const GgufFile>(ReadGguf(path));
    files.config = ConfigFromGguf(*files.gguf);
    files.tensors = files.gguf->tensors;
  }
  CheckTensors(files);
  return files;
}

Weight FetchTensor(const ModelFiles& files, const TensorSpec& spec) {
  Weight stored = files.tensors.Fetch(StoredName(files, spec), spec.shape);
  if (!files.gguf || spec.interleaved_heads == 0) return stored;
  const auto memory = MakeHostMemory();
  if (spec.role == TensorSpec::Role::kBias) {  // one row of values, each of which moves
    stored = Weight(stored.format(), stored.cols(), 1, stored.bytes(), stored.owner());
  }
  return HuggingFaceOrder(stored, spec.interleaved_heads, *memory);
}

std::vector<float> FetchVector(const ModelFiles& files, const TensorSpec& spec) {
  const Weight stored = FetchTensor(files, spec);
  std::vector<float> values(static_cast<size_t>(spec.shape[0]));
  for (int64_t r = 0; r < stored.rows(); ++r)
    DecodeRow(stored, r, 0, stored.cols(), values.data() + r * stored.cols());
  return values;
}

bool WorthCopying(const ModelFiles& files) {
  int64_t bytes = 0;
  for (const TensorEntry& entry : files.tensors.entries()) bytes += static_cast<int64_t>(entry.bytes.size());
  return bytes <= AvailableMemory() / 2;
}

std::unique_ptr<Model> LoadModel(const ModelFiles& files, const LoadOptions& options,
                                 Backend& backend) {
  return Loader(files, options, backend).Load();
}

Compute ResolveCompute(const std::string& flag, WeightFormat format, bool runner) {
  if (flag == "f32") return Compute::kF32;
  if (flag == "bf16") return Compute::kBF16;
  if (flag == "int8") return Compute::kInt8;
  if (flag != "auto")
    throw InputError("--compute '", flag, "' is not known; use auto, f32, bf16 or int8");
  if (format == WeightFormat::kF32) return Compute::kF32;
  if (TraitsOf(format).int8 && runner) return Compute::kInt8;
  return CpuPrefersBf16() ? Compute::kBF16 : Compute::kF32;
}

}  // namespace retort
