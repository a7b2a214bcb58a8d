// SPDX-License-Identifier: Apache-2.0
// Files: mapped for reading, and written atomically: a reader sees either the old file or the
// complete new one (write a temporary file beside it, fsync, rename, fsync the folder).
//
// Only regular files are opened. A pipe or a device in a file's place is an error at once; opening
// never waits for one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace retort {

using Path = std::filesystem::path;
using Bytes = std::span<const std::byte>;

class FileReader;
class Temporary;

// A file's bytes, read-only, valid for the lifetime of the object. Thread-safe. Reading bytes that
// another process has cut off meanwhile raises SIGBUS (see MappedPathAt).
class MappedFile {
 public:
  // Throws Error{kInput} with the path when the file cannot be opened.
  static std::shared_ptr<const MappedFile> Open(const Path& path);
  // So many bytes of value 0 that are in no file and take no memory.
  static std::shared_ptr<const MappedFile> Zeros(size_t size);
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

// The path, fit for a message, of the mapped file that holds the address; null if none does. May be
// called in a signal handler, for the address of a SIGBUS.
const char* MappedPathAt(const void* address);

inline constexpr uint64_t kMostText = uint64_t{1} << 30;

// The whole file as text. Throws Error{kInput} with the path, also if it has more than `most`
// bytes.
std::string ReadText(const Path& path, uint64_t most = kMostText);

// Writes a temporary file beside the target; Commit() renames it to the target. The destructor
// removes an uncommitted file. Throws Error{kFailure} with the target and the cause, and
// Error{kInput} if the target cannot be a file: a folder, a device, a pipe, or a name in /dev or
// /proc. A link is replaced, not followed.
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
  // Reads what has been written, also after Commit(), and after the destructor has removed the
  // file: its bytes then last as long as the reader.
  std::shared_ptr<const FileReader> Reader() const;
  void Commit();

 private:
  Path target_;
  std::unique_ptr<Temporary> temporary_;
  uint64_t size_ = 0;
};

void WriteTextAtomically(const Path& path, std::string_view text);

// For a library that writes files by name, and for a file that is read back before it gets
// its name: path() has the target's file name and lies in a temporary folder beside the target.
// Commit() syncs that file and renames it to the target. The destructor removes the folder.
class StagedFile {
 public:
  explicit StagedFile(const Path& target);
  ~StagedFile();
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;

  const Path& path() const { return path_; }
  void Commit();

 private:
  Path target_, path_;
  std::unique_ptr<Temporary> folder_;
};

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

// A temporary folder beside the target; Commit() renames it to the target. The destructor removes
// an uncommitted folder. Missing folders above the target are made. Throws Error{kFailure} with the
// target and the cause.
class AtomicFolder {
 public:
  // What to do if the target is there and not empty. kRefuse: the constructor throws Error{kInput}.
  // kReplace: Commit() exchanges the two in one step and removes the old one.
  enum class Old { kRefuse, kReplace };

  explicit AtomicFolder(const Path& target, Old old = Old::kRefuse);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  const Path& path() const;  // write the files here
  void Commit();

 private:
  void Replace();

  Path target_;
  Old old_;
  std::unique_ptr<Temporary> temporary_;
};

// Removes a folder with all that it holds so that, killed at any moment, it is there whole or gone
// (a rest under a temporary name is left to RemoveLeftovers). Throws Error{kFailure}; a folder that
// is not there is no error.
void RemoveFolder(const Path& folder);

// Removes from the folder what killed processes of this user left there of any target: temporary
// files and folders whose writer is gone. Every writer does this for its own target.
void RemoveLeftovers(const Path& folder);

// Makes a folder and those above it. Throws Error{kFailure} with the path.
void MakeFolders(const Path& folder);

void SyncFolder(const Path& folder);
void CopyFileAtomically(const Path& from, const Path& to);

// SHA-256 of the bytes as 64 hexadecimal digits (FIPS 180-4).
std::string Sha256(Bytes bytes);
std::string Sha256(std::string_view text);
// Of a file, without holding its pages in memory. Throws Error{kInput} when it cannot be opened.
std::string Sha256OfFile(const Path& path);

}  // namespace retort
