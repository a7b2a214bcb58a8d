// SPDX-License-Identifier: Apache-2.0
// The tensors of a model as those of a Hugging Face folder: its names, its order of rows, and its
// gains, all in one type; or its layers quantised as bitsandbytes does it.
#pragma once

#include <string>
#include <vector>

#include "base/threads.h"
#include "formats/bitsandbytes.h"
#include "model/model_files.h"
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
  // nf4 and fp4: of the blocks' layers, with the maxima quantised too; all else is of the
  // embedding's type.
  FolderTensors(const ModelFiles& source, WeightFormat format, ThreadPool& pool);

  // Of all tensors. Searches them for NaN and infinity.
  void Declare(ShardWriter& writer) const;
  // Of what is not quantised.
  WeightFormat plain() const { return plain_; }
  // One tensor; then releases its source from memory.
  void Write(const TensorSpec& spec, ShardWriter& writer) const;
  WeightFormat format() const { return format_; }
  // In which the tensor is written.
  WeightFormat FormatOf(const TensorSpec& spec) const;

 private:
  std::vector<float> ValuesOf(const TensorSpec& spec) const;
  bool Quantised(const TensorSpec& spec) const;
  std::vector<BitsandbytesPart> PartsOf(const TensorSpec& spec) const;
  void DropSource(const TensorSpec& spec) const;

  const ModelFiles& source_;
  const WeightFormat format_, plain_;
  ThreadPool& pool_;
};

}  // namespace retort
