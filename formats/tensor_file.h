// SPDX-License-Identifier: Apache-2.0
// Shared by all formats of files of named tensors: a table of mapped tensors for reading, and a
// writer that accepts tensors in pieces.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/threads.h"
#include "formats/computed_tensor.h"
#include "tensor/dtype.h"
#include "tensor/weight.h"

namespace retort {

// One tensor of a mapped file. `bytes` is inside `file`, little-endian, row-major, and may be
// unaligned for its type; TensorTable::Load handles that.
struct TensorEntry {
  std::string name;
  std::vector<int64_t> shape;  // outermost first, as Hugging Face writes it; empty: a scalar
  WeightFormat format = WeightFormat::kF32;  // when is_weight()
  std::string other_type;  // the file's name of a type that no weight has: "I64", "NVFP4"
  Bytes bytes;             // empty for a type of unknown size
  Nf4Scales scales = {};   // of NF4 and FP4 (formats/bitsandbytes.h)
  // Not null: `bytes` are the codes that the values are computed of (formats/packed_folder.h).
  std::shared_ptr<const ComputedTensor> computed = nullptr;
  std::shared_ptr<const MappedFile> file;

  bool is_weight() const { return other_type.empty(); }
  std::string_view type_name() const {
    return computed ? computed->type() : is_weight() ? TraitsOf(format).name : other_type;
  }
};

// The tensors of one file or of a folder's shards, in the order of the file. Thread-safe once
// reading is complete.
class TensorTable {
 public:
  // `where` begins errors that concern the whole table: "model.safetensors".
  explicit TensorTable(std::string where = "") : where_(std::move(where)) {}

  // Throws Error{kInput} when the name already exists.
  void Add(TensorEntry entry);

  const std::string& where() const { return where_; }
  const std::vector<TensorEntry>& entries() const { return entries_; }
  const TensorEntry* Find(std::string_view name) const;  // nullptr when absent

  // The tensor as a weight, borrowed from the mapped file (copied if it is unaligned there, or
  // computed).
  // `shape` is what the caller expects: [rows, cols]; [cols] for a weight of one row; or [n, rows,
  // cols] for n consecutive matrices, as a weight of n * rows rows. Throws Error{kInput} with the
  // tensor's name when it is absent or has another shape, or when no weight has its type. What is
  // computed is so by `pool`, if it is not null.
  Weight Load(std::string_view name, const std::vector<int64_t>& shape,
              ThreadPool* pool = nullptr) const;

 private:
  std::string where_;
  std::vector<TensorEntry> entries_;
  std::map<std::string, size_t, std::less<>> index_;
};

// The product of a shape read from a file. Throws Error{kInput} on overflow; `what` begins the
// text.
uint64_t ElementsOf(const std::vector<int64_t>& shape, std::string_view what);

// Writes a file of tensors in bounded memory: all are declared first, then written in pieces; the
// complete file appears on Commit (AtomicFile). Error{kBug}: a name declared twice, a tensor given
// too many or too few bytes. Throws Error{kFailure} on I/O errors, e.g. a full disk.
class TensorFileWriter {
 public:
  virtual ~TensorFileWriter() = default;

  // Only before the first Write. Throws Error{kInput} when a row does not divide into blocks.
  void Declare(std::string name, WeightFormat format, std::vector<int64_t> shape);
  // The size of the file with what is declared so far.
  uint64_t PlannedBytes() const;
  // Appends to that tensor. Tensors in any order, pieces of any size.
  void Write(std::string_view name, Bytes piece);
  void Commit();

 protected:
  struct Slot {
    std::string name;
    WeightFormat format;
    std::vector<int64_t> shape;
    uint64_t bytes;
    std::string_view raw = {};  // "U8", "I8" or "I32", which no weight has; else empty
    uint64_t offset = 0;        // from the start of the file
    uint64_t written = 0;
  };
  struct Layout {
    std::string head;     // everything in front of the tensors
    uint64_t file_bytes;  // the whole file, padding included
  };

  explicit TensorFileWriter(const Path& target) : file_(target) {}
  void DeclareSlot(Slot slot);
  // Throws Error{kBug} for a tensor that the format cannot store.
  virtual void Check(const Slot& slot) const = 0;
  // Sets every slot's offset and creates the head.
  virtual Layout Place(std::vector<Slot>& slots) const = 0;

 private:
  void Start();

  AtomicFile file_;
  std::vector<Slot> slots_;
  std::map<std::string, size_t, std::less<>> index_;
  bool started_ = false;
  uint64_t file_bytes_ = 0;
};

}  // namespace retort
