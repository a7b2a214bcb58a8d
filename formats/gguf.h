// SPDX-License-Identifier: Apache-2.0
// GGUF: llama.cpp's one-file model format. Reads versions 2 and 3 (which differ only in the version
// number), writes version 3; little-endian only. The fields in order (docs/formats/gguf.md):
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
  TensorTable tensors;  // shapes outermost first; types that no weight has, by their ggml names
};

// Throws Error{kInput} with the file and the byte offset or the tensor, for: counts and lengths
// that exceed the file, duplicate keys or tensors, offsets that are unaligned, outside the file or
// inside another tensor, sizes that overflow, arrays nested deeper than 8, more entries than
// limits.h allows. Maps the file; memory use is a small multiple of its metadata and tensor infos.
//
// The first part of a split model (split.count > 1) stands for all of it: the other parts are read
// from beside it, and the table holds the tensors of all. Throws Error{kInput} for another part, or
// parts that do not belong together.
GgufFile ReadGguf(const Path& file);

// Writes metadata in its order. Adds general.quantization_version if a tensor is quantised and the
// key is missing. Uses general.alignment if it is set.
class GgufWriter : public TensorFileWriter {
 public:
  // Throws Error{kBug} for a key that is not lower_snake_case segments joined by '.', and for an
  // alignment that is not a power of two >= 8.
  GgufWriter(const Path& target, GgufMetadata metadata);

 private:
  void Check(const Slot& slot) const override;
  Layout Place(std::vector<Slot>& slots) const override;

  GgufMetadata metadata_;
  uint64_t alignment_;
};

}  // namespace retort
