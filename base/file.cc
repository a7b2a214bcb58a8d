// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/error.h"

namespace retort {
namespace {

// A file descriptor, closed at the end of its scope.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Path FolderOf(const Path& path) { return path.has_parent_path() ? path.parent_path() : Path("."); }

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::Open(const Path& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) throw InputError(path.string(), ": cannot be opened: ", ErrnoText());
  struct stat info;
  if (::fstat(file.fd, &info) != 0) throw InputError(path.string(), ": ", ErrnoText());
  if (!S_ISREG(info.st_mode)) throw InputError(path.string(), ": is not a regular file");
  std::shared_ptr<MappedFile> out(new MappedFile);
  out->path_ = path;
  out->size_ = static_cast<size_t>(info.st_size);
  if (out->size_ == 0) return out;
  void* data = ::mmap(nullptr, out->size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) {
    out->size_ = 0;
    throw Failure(path.string(), ": cannot be mapped: ", ErrnoText());
  }
  out->data_ = static_cast<const std::byte*>(data);
  return out;
}

MappedFile::~MappedFile() {
  if (size_ > 0) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::Drop(Bytes part) const {
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(part.data());
  const uintptr_t begin = (first + page - 1) / page * page;
  const uintptr_t end = (first + part.size()) / page * page;
  if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

std::string ReadText(const Path& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) throw InputError(path.string(), ": cannot be opened: ", ErrnoText());
  std::string out;
  char buffer[1 << 16];
  for (ssize_t n; (n = ::read(file.fd, buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw InputError(path.string(), ": cannot be read: ", ErrnoText());
    out.append(buffer, static_cast<size_t>(n));
  }
  return out;
}

AtomicFile::AtomicFile(const Path& target) : target_(target), temporary_(TemporaryBeside(target)) {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) throw Failure(target_.string(), ": cannot be written: ", ErrnoText());
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::Write(Bytes bytes) {
  WriteAt(size_, bytes);
  size_ += bytes.size();
}

void AtomicFile::Write(std::string_view text) { Write(std::as_bytes(std::span(text))); }

void AtomicFile::WriteAt(uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Failure(target_.string(), ": cannot be written: ", ErrnoText());
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
}

void AtomicFile::Commit() {
  if (::fsync(fd_) != 0) throw Failure(target_.string(), ": cannot be written: ", ErrnoText());
  const int closed = ::close(fd_);
  fd_ = -1;
  if (closed != 0 || ::rename(temporary_.c_str(), target_.c_str()) != 0) {
    const std::string why = ErrnoText();
    ::unlink(temporary_.c_str());
    throw Failure(target_.string(), ": cannot be put in place: ", why);
  }
  SyncFolder(FolderOf(target_));
}

Path TemporaryBeside(const Path& target) {
  return FolderOf(target) / Cat(".", target.filename().string(), ".", ::getpid(), ".partial");
}

void PutInPlace(const Path& temporary, const Path& target) {
  {
    Descriptor file{::open(temporary.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.fd < 0 || ::fsync(file.fd) != 0) {
      throw Failure(target.string(), ": cannot be written: ", ErrnoText());
    }
  }
  if (::rename(temporary.c_str(), target.c_str()) != 0) {
    throw Failure(target.string(), ": cannot be put in place: ", ErrnoText());
  }
  SyncFolder(FolderOf(target));
}

void WriteTextAtomically(const Path& path, std::string_view text) {
  AtomicFile file(path);
  file.Write(text);
  file.Commit();
}

AppendFile::AppendFile(const Path& path) : path_(path) {
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) throw Failure(path.string(), ": cannot be written: ", ErrnoText());
}

AppendFile::~AppendFile() { ::close(fd_); }

void AppendFile::Append(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd_, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Failure(path_.string(), ": cannot be written: ", ErrnoText());
    text.remove_prefix(static_cast<size_t>(n));
  }
}

AtomicFolder::AtomicFolder(const Path& target) {
  // "dir/" and "dir" are the same folder; the temporary folder must be beside it, not in it.
  target_ = target.has_filename() ? target : target.parent_path();
  temporary_ = TemporaryBeside(target_);
  std::error_code ignored, problem;
  std::filesystem::remove_all(temporary_, ignored);
  if (!std::filesystem::create_directories(temporary_, problem)) {
    throw Failure(target_.string(), ": cannot be made: ", problem.message());
  }
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!committed_) std::filesystem::remove_all(temporary_, ignored);
}

void AtomicFolder::Commit() {
  SyncFolder(temporary_);
  // rename(2) replaces an empty folder and fails for one with content.
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    throw Failure(target_.string(), ": cannot be put in place: ", ErrnoText());
  }
  committed_ = true;
  SyncFolder(FolderOf(target_));
}

void SyncFolder(const Path& folder) {
  Descriptor file{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (file.fd < 0 || ::fsync(file.fd) != 0) throw Failure(folder.string(), ": ", ErrnoText());
}

void CopyFileAtomically(const Path& from, const Path& to) {
  const auto source = MappedFile::Open(from);
  AtomicFile file(to);
  file.Write(source->bytes());
  file.Commit();
}

}  // namespace retort
