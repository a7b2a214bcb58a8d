// SPDX-License-Identifier: Apache-2.0
// Files: mapped for reading, and written so that a reader sees either the old file or the whole
// new one (write beside, fsync, rename, fsync the folder).
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

// A file's bytes, read-only, for as long as the object lives. Movable. Thread-safe to read.
class MappedFile {
 public:
  // Throws Error{kInput} naming the path when it cannot be opened.
  static std::shared_ptr<const MappedFile> Open(const Path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const Path& path() const { return path_; }
  Bytes bytes() const { return {data_, size_}; }
  // Tells the kernel that these bytes will not be read again soon, so that the pages leave RSS.
  void Drop(Bytes part) const;

 private:
  MappedFile() = default;
  Path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// The whole file as text. Throws Error{kInput} naming the path.
std::string ReadText(const Path& path);

// Writes a file beside its target. Nothing is left in place unless Commit() returned; the
// destructor removes an uncommitted file. Throws Error{kFailure} naming the target and the cause.
class AtomicFile {
 public:
  explicit AtomicFile(const Path& target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(Bytes bytes);
  void Write(std::string_view text);
  // Overwrites bytes written before, e.g. a header whose lengths are known only at the end.
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
// then PutInPlace syncs that file and renames it. On failure the temporary file is the caller's to
// remove. Throws Error{kFailure} naming the target.
Path TemporaryBeside(const Path& target);
void PutInPlace(const Path& temporary, const Path& target);

// A file that grows line by line, each in the file once Append() has returned.
class AppendFile {
 public:
  explicit AppendFile(const Path& path);  // made when it is not there
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void Append(std::string_view text);  // throws Error{kFailure}, e.g. on a full disk

 private:
  Path path_;
  int fd_ = -1;
};

// A folder filled beside its target and renamed into place by Commit(); the target must not exist
// (or be an empty folder). The destructor removes an uncommitted folder.
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
