// SPDX-License-Identifier: Apache-2.0
#include "model/store/shard_writer.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace retort {
namespace {

std::string ShardName(size_t number, size_t count) {
  char text[64];
  std::snprintf(text, sizeof text, "model-%05zu-of-%05zu.safetensors", number + 1, count);
  return text;
}

}  // namespace

void ShardWriter::Declare(std::string name, WeightFormat format, std::vector<int64_t> shape) {
  RETORT_CHECK(shards_.empty(), "tensor ", name, " declared after the first byte was written");
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  const int64_t bytes = rows * RowBytes(format, shape.empty() ? 1 : shape.back());
  tensors_.push_back({std::move(name), format, std::move(shape), bytes});
}

void ShardWriter::DeclareIntegers(std::string name, std::string_view dtype,
                                  std::vector<int64_t> shape) {
  RETORT_CHECK(shards_.empty(), "tensor ", name, " declared after the first byte was written");
  const auto bytes = static_cast<int64_t>(ElementsOf(shape, name)) * IntegerBytes(dtype);
  tensors_.push_back({std::move(name), WeightFormat::kF32, std::move(shape), bytes, dtype});
}

void ShardWriter::Start() {
  std::vector<int64_t> filled{0};
  for (const Tensor& tensor : tensors_) {
    if (filled.back() > 0 && filled.back() + tensor.bytes > shard_bytes_) filled.push_back(0);
    filled.back() += tensor.bytes;
    shard_of_[tensor.name] = filled.size() - 1;
  }
  for (size_t i = 0; i < filled.size(); ++i) {
    names_.push_back(filled.size() == 1 ? "model.safetensors" : ShardName(i, filled.size()));
    shards_.push_back(
        std::make_unique<SafetensorsWriter>(folder_ / names_.back(), TextPairs{{"format", "pt"}}));
  }
  for (const Tensor& tensor : tensors_) {
    SafetensorsWriter& shard = *shards_[shard_of_[tensor.name]];
    if (tensor.raw.empty())
      shard.Declare(tensor.name, tensor.format, tensor.shape);
    else
      shard.DeclareIntegers(tensor.name, tensor.raw, tensor.shape);
  }
}

void ShardWriter::Write(std::string_view name, Bytes piece) {
  if (shards_.empty()) Start();
  const auto shard = shard_of_.find(name);
  RETORT_CHECK(shard != shard_of_.end(), "tensor ", name, " was not declared");
  shards_[shard->second]->Write(name, piece);
}

void ShardWriter::Commit() {
  if (shards_.empty()) Start();
  for (const auto& shard : shards_) shard->Commit();
  if (shards_.size() > 1) WriteIndex();
}

void ShardWriter::WriteIndex() const {
  int64_t bytes = 0;
  Json map = Json::object();
  for (const Tensor& tensor : tensors_) {
    bytes += tensor.bytes;
    AddMember(map, tensor.name, names_[shard_of_.find(tensor.name)->second]);
  }
  const Json index = {{"metadata", {{"total_size", bytes}}}, {"weight_map", map}};
  WriteTextAtomically(folder_ / "model.safetensors.index.json", DumpJson(index, 2) + "\n");
}

}  // namespace retort
