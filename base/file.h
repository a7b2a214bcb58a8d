// SPDX-License-Identifier: Apache-2.0
// Files: mapped for reading, and written atomically: a reader sees either the old file or the
// complete new one (write a temporary file beside it, fsync, rename, fsync the folder).
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace retort {

using Path = std::filesystem::path;
using Bytes = std::span<const std::byte>;

// A file's bytes, read-only, valid for the lifetime of the object. Thread-safe.
class MappedFile {
 public:
  // Throws Error{kInput} with the path when the file cannot be opened.
  static std::shared_ptr<const MappedFile> Open(const Path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const Path& path() const { return path_; }
  Bytes bytes() const { return {data_, size_}; }
  // Tells the kernel that these bytes will not be read again soon, which removes the pages from
  // RSS.
  void Drop(Bytes part) const;

 private:
  MappedFile() = default;
  Path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// The whole file as text. Throws Error{kInput} with the path.
std::string ReadText(const Path& path);

// Writes a temporary file beside the target; Commit() renames it to the target. The destructor
// removes an uncommitted file. Throws Error{kFailure} with the target and the cause.
class AtomicFile {
 public:
  explicit AtomicFile(const Path& target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(Bytes bytes);
  void Write(std::string_view text);
  // Overwrites bytes already written, e.g. a header whose lengths are known only at the end.
  void WriteAt(uint64_t offset, Bytes bytes);
  uint64_t size() const { return size_; }
  void Commit();

 private:
  Path target_, temporary_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

void WriteTextAtomically(const Path& path, std::string_view text);

// The same for a library that writes files by name: it writes and closes TemporaryBeside(target),
// then PutInPlace syncs that file and renames it. On failure the caller must remove the temporary
// file. Throws Error{kFailure} with the target.
Path TemporaryBeside(const Path& target);
void PutInPlace(const Path& temporary, const Path& target);

// A file that grows line by line. A line is in the file when Append() returns.
class AppendFile {
 public:
  explicit AppendFile(const Path& path);  // created if it does not exist
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void Append(std::string_view text);  // throws Error{kFailure}, e.g. on a full disk

 private:
  Path path_;
  int fd_ = -1;
};

// A temporary folder beside the target; Commit() renames it to the target, which must not exist or
// be an empty folder. The destructor removes an uncommitted folder.
class AtomicFolder {
 public:
  explicit AtomicFolder(const Path& target);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  const Path& path() const { return temporary_; }  // write the files here
  void Commit();

 private:
  Path target_, temporary_;
  bool committed_ = false;
};

void SyncFolder(const Path& folder);
void CopyFileAtomically(const Path& from, const Path& to);

// SHA-256 of the bytes as 64 hexadecimal digits (FIPS 180-4).
std::string Sha256(Bytes bytes);
std::string Sha256(std::string_view text);

}  // namespace retort
