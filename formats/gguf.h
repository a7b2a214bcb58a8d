// SPDX-License-Identifier: Apache-2.0
// GGUF: llama.cpp's one-file model format. Versions 2 and 3 are read (they differ in nothing but
// the number), 3 is written; little-endian only. Field by field (docs/formats/gguf.md):
//
//   char[4]  magic "GGUF"            u32  version
//   u64      number of tensors       u64  number of metadata entries
//   each metadata entry: string key, u32 value type, value
//     string: u64 length, bytes;  bool: one byte, 0 or 1;
//     array: u32 element type, u64 count, elements
//   each tensor: string name, u32 number of dimensions (at most 4), u64 dimensions (innermost
//     first), u32 ggml type, u64 offset from the start of the data section
//   zeros to a multiple of general.alignment (32 when absent), where the data section begins
//   the tensors' bytes, each beginning at a multiple of the alignment, zeros between
#pragma once

#include "formats/gguf_metadata.h"
#include "formats/tensor_file.h"

namespace retort {

struct GgufFile {
  uint32_t version = 0;
  uint64_t alignment = 0;
  GgufMetadata metadata;
  TensorTable tensors;  // shapes outermost first; types that no weight has by their ggml name
};

// Throws Error{kInput} naming the file and the byte or the tensor: counts and lengths beyond what
// the file could hold, keys or tensors that occur twice, offsets that are unaligned, outside the
// file or inside another tensor, sizes that overflow, arrays nested deeper than 8. Maps the file;
// memory used is a small multiple of its metadata and tensor infos.
GgufFile ReadGguf(const Path& file);

// Metadata is written in its order; general.quantization_version is added when a tensor is
// quantised and it is not there; general.alignment is obeyed when it is.
class GgufWriter : public TensorFileWriter {
 public:
  // A key that is not lower_snake_case segments joined by '.', and an alignment that is not a power
  // of two from 8, is a bug.
  GgufWriter(const Path& target, GgufMetadata metadata);

 private:
  void Check(const Slot& slot) const override;
  Layout Place(std::vector<Slot>& slots) const override;

  GgufMetadata metadata_;
  uint64_t alignment_;
};

}  // namespace retort
