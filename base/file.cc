// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/file_calls.h"
#include "base/file_reader.h"
#include "base/open_file.h"
#include "base/temporary.h"

namespace retort {
namespace {

Error CannotBeWritten(const Path& target) {
  return Failure(target.string(), ": cannot be written: ", ErrnoText());
}

// Renaming onto a device or a pipe would replace it by a file. /dev/stdout may lead to a regular
// file, and yet the name that would be replaced is the system's.
void CheckTarget(const Path& target) {
  struct stat info;
  if (::stat(target.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    throw InputError(target.string(), ": ", KindOfFile(info.st_mode),
                     "; give the name of a file to write");
  }
  std::error_code problem;
  const Path folder = std::filesystem::canonical(FolderOf(target), problem);
  if (!problem && (folder == "/dev" || folder.string().starts_with("/proc/"))) {
    throw InputError(target.string(), ": names a stream; give the name of a file to write");
  }
}

void WriteAll(int fd, const Path& path, const Path& target, Bytes bytes,
              std::optional<uint64_t> offset) {
  while (!bytes.empty()) {
    const ssize_t n = calls::Write(fd, path, bytes, offset);
    if (n == 0) errno = EIO;
    if (n <= 0) throw CannotBeWritten(target);
    bytes = bytes.subspan(static_cast<size_t>(n));
    if (offset) *offset += static_cast<uint64_t>(n);
  }
}

void SyncFile(const Path& path, const Path& target) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)};
  if (file.fd < 0 || calls::Sync(file.fd, path) != 0) throw CannotBeWritten(target);
}

// Syncs what a folder holds, then the folder itself.
void SyncTree(const Path& folder, const Path& target) {
  std::error_code problem;
  std::filesystem::directory_iterator at(folder, problem);
  for (const std::filesystem::directory_iterator end; !problem && at != end;
       at.increment(problem)) {
    std::error_code ignored;
    if (at->is_symlink(ignored)) continue;
    if (at->is_directory(ignored))
      SyncTree(at->path(), target);
    else
      SyncFile(at->path(), target);
  }
  if (problem) throw Failure(target.string(), ": cannot be written: ", problem.message());
  SyncFile(folder, target);
}

void RenameTo(const Path& target, const Path& temporary) {
  if (calls::Rename(temporary, target) != 0)
    throw Failure(target.string(), ": cannot be put in place: ", ErrnoText());
}

// "dir/" and "dir" are the same folder; a temporary folder must be beside it, not in it.
Path WithoutSlash(const Path& folder) {
  return folder.has_filename() ? folder : folder.parent_path();
}

}  // namespace

AtomicFile::AtomicFile(const Path& target) : target_(target) {
  CheckTarget(target);
  temporary_ = std::make_unique<Temporary>(target, Temporary::Kind::kFile);
}

AtomicFile::~AtomicFile() = default;

void AtomicFile::Write(Bytes bytes) {
  WriteAt(size_, bytes);
  size_ += bytes.size();
}

void AtomicFile::Write(std::string_view text) { Write(std::as_bytes(std::span(text))); }

void AtomicFile::WriteAt(uint64_t offset, Bytes bytes) {
  WriteAll(temporary_->fd(), temporary_->path(), target_, bytes, offset);
}

std::shared_ptr<const FileReader> AtomicFile::Reader() const {
  const int fd = ::fcntl(temporary_->fd(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) throw Failure(target_.string(), ": cannot be read back: ", ErrnoText());
  return std::make_shared<const FileReader>(fd, target_);
}

void AtomicFile::Commit() {
  if (calls::Sync(temporary_->fd(), temporary_->path()) != 0) throw CannotBeWritten(target_);
  RenameTo(target_, temporary_->path());
  temporary_->Release();
  SyncFolder(FolderOf(target_));
}

void WriteTextAtomically(const Path& path, std::string_view text) {
  AtomicFile file(path);
  file.Write(text);
  file.Commit();
}

StagedFile::StagedFile(const Path& target) : target_(target) {
  CheckTarget(target);
  folder_ = std::make_unique<Temporary>(target, Temporary::Kind::kFolder);
  path_ = folder_->path() / target.filename();
}

StagedFile::~StagedFile() = default;

void StagedFile::Commit() {
  SyncFile(path_, target_);
  RenameTo(target_, path_);
  SyncFolder(FolderOf(target_));
}

AppendFile::AppendFile(const Path& path) : path_(path) {
  fd_ = calls::OpenForAppending(path);
  if (fd_ < 0) throw CannotBeWritten(path);
  struct stat info;
  if (::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode)) return;
  ::close(fd_);
  throw InputError(path.string(), ": ", KindOfFile(info.st_mode),
                   "; give the name of a file to write");
}

AppendFile::~AppendFile() { ::close(fd_); }

void AppendFile::Append(std::string_view text) {
  WriteAll(fd_, path_, path_, std::as_bytes(std::span(text)), std::nullopt);
}

AtomicFolder::AtomicFolder(const Path& target, Old old) : target_(WithoutSlash(target)), old_(old) {
  std::error_code problem;
  const auto status = std::filesystem::status(target_, problem);
  if (std::filesystem::exists(status) && !std::filesystem::is_directory(status)) {
    throw InputError(target_.string(), ": is a file; choose another name for the folder");
  }
  if (std::filesystem::exists(status) && old == Old::kRefuse &&
      !std::filesystem::is_empty(target_, problem)) {
    throw InputError(target_.string(), ": is there already and not empty; choose another name");
  }
  MakeFolders(FolderOf(target_));
  temporary_ = std::make_unique<Temporary>(target_, Temporary::Kind::kFolder);
}

AtomicFolder::~AtomicFolder() = default;

const Path& AtomicFolder::path() const { return temporary_->path(); }

void AtomicFolder::Commit() {
  SyncTree(path(), target_);
  // rename(2) replaces an empty folder and fails for one with content.
  if (calls::Rename(path(), target_) == 0) {
    temporary_->Release();
  } else if (old_ == Old::kReplace && (errno == ENOTEMPTY || errno == EEXIST)) {
    Replace();
  } else {
    throw Failure(target_.string(), ": cannot be put in place: ", ErrnoText());
  }
  SyncFolder(FolderOf(target_));
}

// After the exchange the temporary name is the old folder's, which the destructor removes.
void AtomicFolder::Replace() {
  if (calls::Exchange(path(), target_) == 0) return;
  if (errno != EINVAL && errno != ENOSYS && errno != EXDEV)
    throw Failure(target_.string(), ": cannot be replaced: ", ErrnoText());
  // The file system cannot exchange: for a moment the old folder is there under another name only.
  const Path old = target_.string() + ".old";
  RemoveFolder(old);
  RenameTo(old, target_);
  if (calls::Rename(path(), target_) != 0) {
    const std::string why = ErrnoText();
    RenameTo(target_, old);
    throw Failure(target_.string(), ": cannot be replaced: ", why);
  }
  temporary_->Release();
  RemoveFolder(old);
}

void RemoveFolder(const Path& folder) {
  const Path target = WithoutSlash(folder);
  std::error_code problem;
  if (!std::filesystem::exists(std::filesystem::symlink_status(target, problem))) return;
  const Temporary aside(target, Temporary::Kind::kFolder);
  RenameTo(aside.path(), target);
}

void MakeFolders(const Path& folder) {
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  if (problem) throw Failure(folder.string(), ": cannot be made: ", problem.message());
}

void SyncFolder(const Path& folder) {
  const Descriptor file{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (file.fd < 0 || calls::Sync(file.fd, folder) != 0)
    throw Failure(folder.string(), ": ", ErrnoText());
}

void CopyFileAtomically(const Path& from, const Path& to) {
  const auto source = MappedFile::Open(from);
  AtomicFile file(to);
  file.Write(source->bytes());
  file.Commit();
}

}  // namespace retort
