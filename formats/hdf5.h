// SPDX-License-Identifier: Apache-2.0
// HDF5 files of plain numeric datasets: a trainer's state, a teacher's logits. A thin layer over
// the serial HDF5 C API; only source files include the API.
//
// HDF5 1.10 has known faults on hostile files, and a checksum beside a file does not say who made
// it. So in this process the library only reads bytes with a seal (base/seal.h): those that this
// user's Retort wrote. Files from anybody else are read in a child process
// (formats/hdf5_child.h). docs/trust.md is the whole story.
//
// The library is not thread-safe and keeps global state, so a process-wide lock serialises all
// functions of this header. A reader or writer may be used by one thread at a time. The library's
// own error printing is disabled during calls; an error is one line with file and dataset.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace retort {
namespace hdf5 {
class HeldFile;
}

// Element types, little-endian in the file.
enum class Hdf5Type : uint8_t { kF32, kF64, kI32, kI64, kU8, kU16 };
inline constexpr Hdf5Type kHdf5Types[] = {Hdf5Type::kF32, Hdf5Type::kF64, Hdf5Type::kI32,
                                          Hdf5Type::kI64, Hdf5Type::kU8,  Hdf5Type::kU16};
std::string_view NameOf(Hdf5Type type);  // "f32"

template <class T>
struct Hdf5TypeOf;
template <>
struct Hdf5TypeOf<float> {
  static constexpr Hdf5Type kValue = Hdf5Type::kF32;
};
template <>
struct Hdf5TypeOf<double> {
  static constexpr Hdf5Type kValue = Hdf5Type::kF64;
};
template <>
struct Hdf5TypeOf<int32_t> {
  static constexpr Hdf5Type kValue = Hdf5Type::kI32;
};
template <>
struct Hdf5TypeOf<int64_t> {
  static constexpr Hdf5Type kValue = Hdf5Type::kI64;
};
template <>
struct Hdf5TypeOf<uint8_t> {
  static constexpr Hdf5Type kValue = Hdf5Type::kU8;
};
template <>
struct Hdf5TypeOf<uint16_t> {
  static constexpr Hdf5Type kValue = Hdf5Type::kU16;
};

// How a dataset is stored: in one piece, or in chunks of rows that may be compressed.
struct Hdf5Storage {
  int64_t chunk_rows = 0;  // 0: one piece
  int gzip = 0;            // 0 to 9; above 0 requires chunks and also shuffles bytes
};

// What a manifest records of an HDF5 file.
struct Hdf5Stamp {
  std::string sha256;  // of the file, 64 hexadecimal digits
  std::string seal;    // of the file; "" for one from a version of Retort without seals
  int64_t bytes = 0;   // its size
};

// Makes a file in memory, which takes as much memory as the file is long; Commit writes it to the
// target (AtomicFile), so that only Commit can find the disk full. Datasets have one or two
// dimensions; '/' in a name creates groups. The bytes depend on the content alone (no timestamps).
// Errors of the library are Error{kFailure}. Error{kBug}: a name used twice, a shape of other than
// 1 or 2 dimensions, or one that does not fit the values.
class Hdf5Writer {
 public:
  explicit Hdf5Writer(const Path& target);
  ~Hdf5Writer();
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;

  template <class T>
  void Write(const std::string& name, const std::vector<int64_t>& shape, std::span<const T> values,
             Hdf5Storage storage = {}) {
    WriteRaw(name, shape, Hdf5TypeOf<T>::kValue, std::as_bytes(values), storage);
  }

  // Attributes of the whole file. Text is UTF-8 of at most 60,000 bytes, without NUL.
  void SetText(const std::string& name, std::string_view text);
  void SetInt(const std::string& name, int64_t value);
  void SetNumber(const std::string& name, double value);

  // Throws Error{kFailure} with the target when it cannot be written. `before` is called when the
  // bytes are known and the target is still as it was.
  using Before = std::function<void(const Hdf5Stamp&)>;
  Hdf5Stamp Commit(const Before& before = nullptr);

 private:
  struct State;
  void WriteRaw(const std::string& name, const std::vector<int64_t>& shape, Hdf5Type type,
                Bytes bytes, Hdf5Storage storage);
  std::unique_ptr<State> state_;
};

// A chunk of a dataset's rows as stored in the file. Reading it needs the library (and its lock);
// unpacking does not.
struct Hdf5Chunk {
  std::string place;  // names file and dataset in errors
  std::vector<std::byte> stored;
  size_t bytes = 0;  // unpacked size: always a full chunk, even if the dataset ends within it
  size_t element_bytes = 0;
  bool shuffled = false, deflated = false;
};

// Reads a file. Every read states the expected type and shape; a mismatch, or an absent name, is
// Error{kInput} with file, dataset and both shapes. So is whatever leads out of the file: links
// that are not hard ones, external storage and virtual datasets.
class Hdf5Reader {
 public:
  // Throws Error{kInput} when the file is not the one that the stamp's seal was made of: it is
  // damaged if its checksum is wrong too (`mend`, a hint for the fix, ends the text), and otherwise
  // from somebody else, and the text names the command that converts it (`retort trust FOLDER`).
  static Hdf5Reader OpenSealed(const Path& path, const Hdf5Stamp& stamp,
                               std::string_view mend = {});
  // Whether the file has the stamp's seal. Does not open the file as HDF5.
  static bool IsSealed(const Path& path, const Hdf5Stamp& stamp);
  ~Hdf5Reader();
  Hdf5Reader(Hdf5Reader&&) noexcept;
  Hdf5Reader& operator=(Hdf5Reader&&) noexcept;

  struct Dataset {
    std::string name;  // with its groups: "optimizer/m/0"
    std::string type;  // NameOf an Hdf5Type, or "other"
    std::vector<int64_t> shape;
    int64_t stored_bytes;  // as compressed
  };
  std::vector<Dataset> Datasets() const;  // sorted by name
  struct Attribute {
    enum class Kind { kText, kInt, kNumber, kOther };
    std::string name;
    Kind kind;
  };
  std::vector<Attribute> Attributes() const;  // of the whole file
  bool Has(const std::string& name) const;
  std::vector<int64_t> ShapeOf(const std::string& name) const;
  // Rows per chunk, i.e. how many rows are decompressed to read one. 0 when stored in one piece;
  // chunks that split a row, or have no rows, are Error{kInput}.
  int64_t ChunkRows(const std::string& name) const;

  // Reads the whole dataset into `out`, which holds product(shape) values.
  template <class T>
  void Read(const std::string& name, const std::vector<int64_t>& shape, std::span<T> out) const {
    ReadRaw(name, shape, Hdf5TypeOf<T>::kValue, std::as_writable_bytes(out));
  }
  // Chunk `index` of a dataset of shape [any, columns], or [any] with columns 1, that is stored in
  // chunks of whole rows, shuffled or deflated or neither; another filter is Error{kInput}.
  template <class T>
  Hdf5Chunk ReadChunk(const std::string& name, int64_t index, int64_t columns) const {
    return ReadChunkRaw(name, index, columns, Hdf5TypeOf<T>::kValue);
  }
  // The chunk's values. Thread-safe. Uses libdeflate, which takes a third of the time of the
  // library's own filter. Throws Error{kInput}.
  template <class T>
  static std::vector<T> Unpack(const Hdf5Chunk& chunk) {
    std::vector<T> out(chunk.bytes / sizeof(T));
    UnpackRaw(chunk, std::as_writable_bytes(std::span(out)));
    return out;
  }

  std::string Text(const std::string& attribute) const;
  int64_t Int(const std::string& attribute) const;
  double Number(const std::string& attribute) const;

 private:
  friend class Hdf5Sender;  // in the child process, for files without a seal

  struct State;
  static Hdf5Reader OpenUnsealed(const Path& path, std::unique_ptr<const hdf5::HeldFile> held);
  explicit Hdf5Reader(std::unique_ptr<State> state);
  void ReadRaw(const std::string& name, const std::vector<int64_t>& shape, Hdf5Type type,
               std::span<std::byte> out) const;
  Hdf5Chunk ReadChunkRaw(const std::string& name, int64_t index, int64_t columns,
                         Hdf5Type type) const;
  static void UnpackRaw(const Hdf5Chunk& chunk, std::span<std::byte> out);
  std::unique_ptr<State> state_;
};

}  // namespace retort
