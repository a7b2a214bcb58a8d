// SPDX-License-Identifier: Apache-2.0
// Writes a model's tensors into a Hugging Face folder: model.safetensors, or, of a larger model,
// the shards model-00001-of-00003.safetensors and so on with their index.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "formats/safetensors.h"

namespace retort {

class ShardWriter {
 public:
  // transformers' limit for a long time, which all its versions read.
  static constexpr int64_t kShardBytes = 5'000'000'000;

  // A tensor larger than `shard_bytes` is a shard of its own.
  explicit ShardWriter(const Path& folder, int64_t shard_bytes = kShardBytes)
      : folder_(folder), shard_bytes_(shard_bytes) {}

  // As those of TensorFileWriter. Tensors are stored in the order of declaration.
  void Declare(std::string name, WeightFormat format, std::vector<int64_t> shape);
  void DeclareIntegers(std::string name, std::string_view dtype, std::vector<int64_t> shape);
  void Write(std::string_view name, Bytes piece);
  void Commit();

 private:
  struct Tensor {
    std::string name;
    WeightFormat format;
    std::vector<int64_t> shape;
    int64_t bytes;
    std::string_view raw = {};  // DeclareIntegers: dtype
  };
  void Start();
  void WriteIndex() const;

  const Path folder_;
  const int64_t shard_bytes_;
  std::vector<Tensor> tensors_;
  std::vector<std::string> names_;  // of the shards
  std::vector<std::unique_ptr<SafetensorsWriter>> shards_;
  std::map<std::string, size_t, std::less<>> shard_of_;
};

}  // namespace retort
