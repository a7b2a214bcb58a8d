// SPDX-License-Identifier: Apache-2.0
// safetensors: Hugging Face's file of tensors. docs/formats/safetensors.md has the bytes.
//
//   u64 N (little-endian) | N bytes of JSON, padded with spaces | the tensors' bytes
//   {"__metadata__": {"format": "pt"},
//    "NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
//
// Offsets count from the end of the header; the tensors fill the rest of the file without holes or
// overlaps. F32, F16 and BF16 become weights; other dtypes are kept as entries by their own name.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "formats/tensor_file.h"

namespace retort {

using TextPairs = std::vector<std::pair<std::string, std::string>>;

struct SafetensorsFile {
  TensorTable tensors;
  TextPairs metadata;  // "__metadata__", in the file's order
};

// Throws Error{kInput} naming the file and the place in it for anything that is not as above. Maps
// the file; memory used is a small multiple of its header, which is capped at 100 MB.
SafetensorsFile ReadSafetensors(const Path& file);

// The tensors of a model's folder: model.safetensors; else the shards that
// model.safetensors.index.json names, each opened once; else the only *.safetensors file. In
// shards the index decides whose a tensor is; one it does not name is kept. A tensor missing from
// its shard, and a shard that is not a plain file name, are refused.
TensorTable ReadSafetensorsFolder(const Path& folder);

// Tensors are laid out by falling element size, so that every one is aligned, and in the order of
// declaration within a size. F32, F16 and BF16 only. transformers asks for the metadata
// {"format", "pt"}.
class SafetensorsWriter : public TensorFileWriter {
 public:
  explicit SafetensorsWriter(const Path& target, TextPairs metadata = {})
      : TensorFileWriter(target), metadata_(std::move(metadata)) {}

 private:
  void Check(const Slot& slot) const override;
  Layout Place(std::vector<Slot>& slots) const override;

  TextPairs metadata_;
};

}  // namespace retort
