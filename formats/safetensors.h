// SPDX-License-Identifier: Apache-2.0
// safetensors: Hugging Face's tensor file format (docs/formats/safetensors.md).
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

// Throws Error{kInput} with the file and the place in it for anything that deviates from the
// above. Maps the file; memory use is a small multiple of its header, which is limited to 100 MB.
SafetensorsFile ReadSafetensors(const Path& file);

// The tensors of a model's folder: model.safetensors; else the shards listed in
// model.safetensors.index.json, each opened once; else the only *.safetensors file. The index
// determines the shard of a tensor; a tensor that it does not list is kept. Throws Error{kInput}
// for a tensor missing from its shard, and for a shard that is not a plain file name.
TensorTable ReadSafetensorsFolder(const Path& folder);

int IntegerBytes(std::string_view dtype);  // of "U8", "I8" or "I32"

// Tensors are stored by descending element size, so that all are aligned, and in the order of
// declaration within a size. F32, F16, BF16 and, by DeclareIntegers, U8, I8 and I32. transformers
// requires the metadata {"format", "pt"}.
class SafetensorsWriter : public TensorFileWriter {
 public:
  explicit SafetensorsWriter(const Path& target, TextPairs metadata = {})
      : TensorFileWriter(target), metadata_(std::move(metadata)) {}

  // As Declare, of integers: "U8", "I8" or "I32".
  void DeclareIntegers(std::string name, std::string_view dtype, std::vector<int64_t> shape);

 private:
  void Check(const Slot& slot) const override;
  Layout Place(std::vector<Slot>& slots) const override;

  TextPairs metadata_;
};

}  // namespace retort
