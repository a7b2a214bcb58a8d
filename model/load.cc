// SPDX-License-Identifier: Apache-2.0
#include "model/load.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/machine.h"
#include "base/text.h"
#include "formats/safetensors.h"
#include "model/spec/gguf_config.h"
#include "tensor/quant/finite.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr size_t kListed = 8;  // maximum number of faults listed in one error

// Tensors that some exporters store but that the model computes itself.
bool IsDerived(const std::string& name) {
  return name.ends_with("rotary_emb.inv_freq") || name == "rope_freqs.weight";
}

// Whether the folder stores it as part of a stacked tensor instead of a tensor of its own.
bool IsStacked(const ModelFiles& files, const TensorSpec& spec) {
  return !files.gguf && !spec.stacked.name.empty() && files.tensors.Find(spec.stacked.name);
}

std::string HeadName(const ModelFiles& files) {
  return files.layout.of(files.layout.head).name + ".weight";
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

void CheckTensors(const ModelFiles& files) {
  std::vector<std::string> faults;
  std::set<std::string> expected;
  for (const TensorSpec& spec : files.layout.tensors) {
    const auto [name, shape, begin] = PlaceOf(files, spec);
    if (IsStacked(files, spec) && name == spec.name)
      faults.push_back(Cat("'", name, "' is there twice, also within '", spec.stacked.name, "'"));
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

// As stored: a whole tensor, or one expert's slice of one.
Weight FetchStored(const ModelFiles& files, const TensorSpec& spec) {
  const TensorPlace place = PlaceOf(files, spec);
  const Weight stored = files.tensors.Load(place.name, place.shape);
  return spec.is_matrix() ? stored.RowRange(place.begin, spec.shape[0]) : stored;
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
    for (const TensorSpec& spec : files_.layout.tensors) {
      spec.is_matrix() ? PlaceMatrix(spec) : model_->Set(spec.target, VectorOf(spec));
    }
    return std::move(model_);
  }

 private:
  const LinearSpec& LinearOf(const TensorSpec& spec) const { return *files_.layout.LinearOf(spec); }

  void PlaceMatrix(const TensorSpec& spec) {
    CheckFinite(files_, spec, backend_.pool());
    Weight stored = FetchTensor(files_, spec, backend_.host_memory());
    if (options_.trainable) {
      std::vector<float> values(static_cast<size_t>(stored.rows() * stored.cols()));
      for (int64_t r = 0; r < stored.rows(); ++r) {
        DecodeRow(stored, r, 0, stored.cols(), values.data() + r * stored.cols());
      }
      return model_->Set(
          spec.target,
          Trained(spec.name, backend_.FromFloats(values, {stored.rows(), stored.cols()})));
    }
    const auto wanted = WantedFormat(LinearOf(spec), stored.format());
    Weight frozen = wanted == stored.format()
                        ? std::move(stored)
                        : Requantised(stored, wanted, options_.double_quant, backend_.host_memory(),
                                      backend_.pool());
    model_->Set(spec.target, frozen, {.purpose = options_.purpose, .lasting = options_.copy});
    // A copied source is not read again, except single rows of an embedding.
    if (options_.copy || frozen.owner() != SourceOf(spec).file) DropSource(spec);
  }

  const TensorEntry& SourceOf(const TensorSpec& spec) const {
    return *files_.tensors.Find(PlaceOf(files_, spec).name);
  }

  WeightFormat WantedFormat(const LinearSpec& linear, WeightFormat stored) const {
    if (!options_.weights) return stored;
    if (*options_.weights == WeightFormat::kNF4) {
      const bool plain = TraitsOf(stored).block_elements == 1;
      return linear.adaptable() && plain ? WeightFormat::kNF4 : stored;
    }
    return *options_.weights;
  }

  void DropSource(const TensorSpec& spec) const {
    const TensorEntry& entry = SourceOf(spec);
    entry.file->Drop(entry.bytes);
  }

  Var VectorOf(const TensorSpec& spec) {
    const Tensor values = backend_.FromFloats(FetchVector(files_, spec), {spec.elements()});
    return options_.trainable ? Trained(spec.name, values) : Var{values};
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
  for (const TensorSpec& spec : layout.tensors) {
    const LinearSpec* linear = layout.LinearOf(spec);
    if (linear && linear->adaptable()) return tensors.Find(PlaceOf(*this, spec).name)->format;
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
  files.layout = LayoutOf(files.config);
  CheckTensors(files);
  return files;
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
  const TensorPlace place = PlaceOf(files, spec);
  CheckFinite(FetchStored(files, spec), files.tensors.where(), Quoted(place.name), place.begin,
              pool);
}

Weight FetchTensor(const ModelFiles& files, const TensorSpec& spec, Memory& memory) {
  Weight stored = FetchStored(files, spec);
  if (!files.gguf || spec.order.same()) return stored;
  return HuggingFaceOrder(stored, spec.order, memory);
}

std::vector<float> FetchVector(const ModelFiles& files, const TensorSpec& spec) {
  const Weight stored = FetchStored(files, spec);
  std::vector<float> values(static_cast<size_t>(spec.elements()));
  for (int64_t row = 0; row < stored.rows(); ++row)
    DecodeRow(stored, row, 0, stored.cols(), values.data() + row * stored.cols());
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

bool WorthCopying(const ModelFiles& files) {
  int64_t bytes = 0;
  for (const TensorEntry& entry : files.tensors.entries())
    bytes += static_cast<int64_t>(entry.bytes.size());
  return bytes <= AvailableMemory() / 2;
}

std::unique_ptr<Model> LoadModel(const ModelFiles& files, const LoadOptions& options,
                                 Backend& backend) {
  return Loader(files, options, backend).Load();
}

}  // namespace retort
