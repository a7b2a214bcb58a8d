// SPDX-License-Identifier: Apache-2.0
#include "tests/support/model_folder.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/random.h"
#include "formats/safetensors.h"
#include "model/load.h"
#include "model/model.h"
#include "model/store/folders.h"
#include "tensor/quant/quant.h"
#include "tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

constexpr int64_t kVocab = 300;

std::vector<std::byte> RandomRows(const TensorSpec& spec, const FolderOptions& options,
                                  uint64_t index) {
  const int64_t cols = spec.shape.back(), rows = spec.shape.size() > 1 ? spec.shape[0] : 1;
  const auto row_bytes = static_cast<size_t>(RowBytes(options.weights, cols));
  RandomStream random(MakeKey(options.seed, RandomUse::kInit, index));
  const bool norm = spec.target.kind == Target::Kind::kGain;
  const double deviation = spec.shape.size() > 1 ? 1 / std::sqrt(static_cast<double>(cols)) : 0.2;
  std::vector<std::byte> bytes(static_cast<size_t>(rows) * row_bytes);
  std::vector<float> row(static_cast<size_t>(cols));
  for (int64_t r = 0; r < rows; ++r) {
    for (float& v : row) v = static_cast<float>((norm ? 1 : 0) + deviation * random.Normal());
    EncodeRow(options.weights, row.data(), cols, bytes.data() + static_cast<size_t>(r) * row_bytes);
  }
  return bytes;
}

}  // namespace

DenseConfig FolderConfig(const std::string& family) {
  DenseConfig c;
  c.family = family;
  c.layers = 2, c.width = 64, c.heads = 4, c.kv_heads = 2, c.head_dim = 16, c.ffn = 96,
  c.vocab = kVocab;
  c.max_positions = 256;
  c.norm_epsilon = 1e-5;
  c.qkv_bias = family == "qwen2";
  c.qk_norm = family == "qwen3" ? QkNorm::kHeads : QkNorm::kNone;
  if (family == "qwen3") c.head_dim = 24;
  if (family == "mistral") c.window = 5;
  return c;
}

void MakeModelFolder(const Path& folder, const DenseConfig& config, const FolderOptions& options) {
  DenseConfig named = config;
  named.ends = {256};
  const char* dtype = options.weights == WeightFormat::kBF16 ? "bfloat16" : "float32";
  MakeModelFolder(folder, ConfigJson(named, dtype), options);
}

void MakeModelFolder(const Path& folder, const Json& config, const FolderOptions& options) {
  std::filesystem::create_directories(folder);
  WriteTextAtomically(folder / "config.json", DumpJson(config));
  const Architecture architecture = ReadConfig(folder);
  WriteByteTokenizer(folder, architecture.vocab);

  std::vector<TensorSpec> tensors = LayoutOf(architecture).tensors;
  if (options.head_only) tensors.front().name = "lm_head.weight";
  Json index = Json::object();
  for (int shard = 0; shard < options.shards; ++shard) {
    const std::string file =
        options.shards == 1 ? "model.safetensors" : Cat("model-", shard + 1, ".safetensors");
    SafetensorsWriter writer(folder / file, {{"format", "pt"}});
    for (size_t t = static_cast<size_t>(shard); t < tensors.size();
         t += static_cast<size_t>(options.shards)) {
      writer.Declare(tensors[t].name, options.weights, tensors[t].shape);
      index[tensors[t].name] = file;
    }
    for (size_t t = static_cast<size_t>(shard); t < tensors.size();
         t += static_cast<size_t>(options.shards)) {
      writer.Write(tensors[t].name, RandomRows(tensors[t], options, t));
    }
    writer.Commit();
  }
  if (options.shards == 1) return;
  WriteTextAtomically(folder / "model.safetensors.index.json",
                      DumpJson({{"metadata", Json::object()}, {"weight_map", index}}));
}

void MakeAdapterFolder(const Path& folder, const ModelFiles& base, const BaseRecord* record,
                       uint64_t seed, const std::string& targets) {
  std::filesystem::create_directories(folder);
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  AdapterConfig config;
  config.rank = 4;
  config.alpha = 6;
  config.target_pattern = targets;
  const auto adapter = Adapter::Make(config, base.layout, seed, *backend);
  RandomStream random(MakeKey(seed, RandomUse::kInit, 99));
  for (Parameter* p : adapter->parameters()) {
    std::vector<float> values = backend->ToFloats(p->value);
    for (float& v : values) v = static_cast<float>(0.1 * random.Normal());
    p->value = backend->FromFloats(values, p->value.shape());
  }
  WriteAdapterFiles(folder, *adapter, base.layout, *backend);
  if (record) WriteTextAtomically(folder / kManifestName, DumpJson({{"base", BaseJson(*record)}}));
}

std::vector<float> LogitsOf(const Path& path, const std::vector<int32_t>& ids,
                            const Path& adapter_folder) {
  const ModelFiles files = OpenModel(path);
  const auto backend = MakeCpuBackend(1, Compute::kF32);
  const auto model = LoadModel(files, {}, *backend);
  const auto adapter = adapter_folder.empty()
                           ? nullptr
                           : Adapter::Load(adapter_folder, files.layout, *backend, {&files});
  Batch batch;
  batch.AddRow(ids, 0);
  Context context{*backend};
  const Var hidden = model->Hidden(context, {batch, adapter.get()});
  std::vector<int32_t> rows(ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  return backend->ToFloats(model->Logits(context, adapter.get(), hidden, rows));
}

double LargestDifference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size() || a.empty()) return INFINITY;
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(double{a[i]} - b[i]);
    largest = d <= largest ? largest : d;  // a NaN stays
  }
  return largest;
}

std::vector<std::string> FilesIn(const Path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string ContentSum(const Path& gguf) {
  std::map<std::string, const TensorEntry*> sorted;
  const GgufFile file = ReadGguf(gguf);
  for (const TensorEntry& e : file.tensors.entries()) sorted[e.name] = &e;
  std::string all;
  for (const auto& [name, e] : sorted)
    all += Cat(name, " ", e->type_name(), " ", Sha256(e->bytes), "\n");
  return Sha256(all);
}

}  // namespace retort
