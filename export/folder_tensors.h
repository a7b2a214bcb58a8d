// SPDX-License-Identifier: Apache-2.0
// The tensors of a GGUF as those of a Hugging Face folder: its names, its order of rows, and its
// gains, all in one type.
#pragma once

#include <string>
#include <vector>

#include "base/threads.h"
#include "model/load.h"
#include "model/store/shard_writer.h"

namespace retort {

// The type named: f32, f16 or bf16. "auto": that of the file's matrices if all have one of these, and
// f32, which keeps all values of any block format, if not. Throws Error{kInput} for another name.
WeightFormat FolderFormat(const ModelFiles& source, const std::string& type);

// "float32", "float16" or "bfloat16": config.json's name.
std::string TorchType(WeightFormat format);

// Writes tensors of `source` in `format`. Gains, biases and routers keep their values: they are f32
// where that format cannot hold them.
class FolderTensors {
 public:
  FolderTensors(const ModelFiles& source, WeightFormat format, ThreadPool& pool)
      : source_(source), format_(format), pool_(pool) {}

  // Of all tensors. Searches them for NaN and infinity.
  void Declare(ShardWriter& writer) const;
  // One tensor; then releases its source from memory.
  void Write(const TensorSpec& spec, ShardWriter& writer) const;
  WeightFormat format() const { return format_; }
  // In which the tensor is written.
  WeightFormat FormatOf(const TensorSpec& spec) const;

 private:
  std::vector<float> ValuesOf(const TensorSpec& spec) const;

  const ModelFiles& source_;
  const WeightFormat format_;
  ThreadPool& pool_;
};

}  // namespace retort
