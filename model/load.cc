// SPDX-License-Identifier: Apache-2.0
#include "model/load.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/machine.h"
#include "base/text.h"
#include "formats/bitsandbytes.h"
#include "formats/packed_folder.h"
#include "formats/safetensors.h"
#include "model/spec/gguf_config.h"
#include "model/store/run_folder.h"
#include "tensor/quant/finite.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

constexpr size_t kListed = 8;  // maximum number of faults listed in one error

// Tensors that some exporters store but that the model computes itself, and those that a rope
// reads.
bool IsDerived(const std::string& name) {
  return name.ends_with("rotary_emb.inv_freq") || name == "rope_freqs.weight" ||
         name == "rope_factors_long.weight" || name == "rope_factors_short.weight";
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
