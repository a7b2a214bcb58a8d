// SPDX-License-Identifier: Apache-2.0
#include "model/load.h"

#include "base/machine.h"
#include "model/stored_tensors.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

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
    // Reading a tensor also brings in pages of its neighbours, which may have been dropped before.
    for (const TensorSpec* spec : dropped_) DropSource(*spec);
    return std::move(model_);
  }

 private:
  const LinearSpec& LinearOf(const TensorSpec& spec) const { return *files_.layout.LinearOf(spec); }

  void PlaceMatrix(const TensorSpec& spec) {
    CheckFinite(files_, spec, backend_.pool());
    Weight stored = FetchTensor(files_, spec, backend_.host_memory(), &backend_.pool());
    if (options_.trainable) {
      // Not set to 0 first: a device that counts would touch this memory otherwise.
      const auto size = static_cast<size_t>(stored.rows() * stored.cols());
      const auto values = std::make_unique_for_overwrite<float[]>(size);
      backend_.pool().For(stored.rows(), [&](int64_t r, int) {
        DecodeRow(stored, r, 0, stored.cols(), values.get() + r * stored.cols());
      });
      model_->Set(spec.target,
                  Trained(spec.name, backend_.FromFloats({values.get(), size},
                                                         {stored.rows(), stored.cols()})));
      return LetGo(spec);
    }
    const auto wanted = WantedFormat(LinearOf(spec), stored.format());
    Weight frozen = wanted == stored.format()
                        ? std::move(stored)
                        : Requantised(stored, wanted, options_.double_quant, backend_.host_memory(),
                                      backend_.pool());
    model_->Set(spec.target, frozen, {.purpose = options_.purpose, .lasting = options_.copy});
    // A copied source is not read again, except single rows of an embedding.
    const TensorEntry& first = *files_.tensors.Find(StoredNames(files_, spec).front());
    if (options_.copy || frozen.owner() != first.file) {
      LetGo(spec);
    } else {
      const bool rows = LinearOf(spec).use == LinearUse::kEmbedding && !files_.config.head.tied;
      (rows ? model_->mapped_table_bytes : model_->mapped_bytes) += frozen.total_bytes();
    }
  }

  WeightFormat WantedFormat(const LinearSpec& linear, WeightFormat stored) const {
    if (!options_.weights) return stored;
    if (*options_.weights == WeightFormat::kNF4) {
      const bool plain = TraitsOf(stored).block_elements == 1;
      return linear.adaptable() && plain ? WeightFormat::kNF4 : stored;
    }
    return *options_.weights;
  }

  void LetGo(const TensorSpec& spec) {
    DropSource(spec);
    dropped_.push_back(&spec);
  }

  void DropSource(const TensorSpec& spec) const {
    for (const std::string& name : StoredNames(files_, spec)) {
      const TensorEntry& entry = *files_.tensors.Find(name);
      entry.file->Drop(entry.bytes);
    }
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
  std::vector<const TensorSpec*> dropped_;
};

}  // namespace

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
