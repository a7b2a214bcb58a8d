// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>

#include "base/error.h"
#include "base/open_file.h"
#include "base/text.h"

namespace retort {
namespace {

// Note [Mappings]. A signal handler looks mappings up, and so may take no lock and meet no freed
// memory: the list only grows at its head, and an entry whose file is closed is used again. An
// entry is valid while `data` is not null.
struct Mapping {
  std::atomic<const std::byte*> data{nullptr};
  std::atomic<size_t> size{0};
  char path[512] = {};
  Mapping* next = nullptr;
};
std::atomic<Mapping*> mappings{nullptr};
std::mutex mappings_mutex;  // of those that change the list

Mapping& UnusedMapping() {
  for (Mapping* m = mappings.load(); m; m = m->next) {
    if (!m->data.load()) return *m;
  }
  auto* made = new Mapping;  // never freed
  made->next = mappings.load();
  mappings.store(made);
  return *made;
}

void Register(const MappedFile& file) {
  const std::string path = OneLine(file.path().string(), sizeof(Mapping::path) - 1);
  const std::lock_guard lock(mappings_mutex);
  Mapping& m = UnusedMapping();
  *std::copy(path.begin(), path.end(), m.path) = '\0';
  m.size = file.bytes().size();
  m.data = file.bytes().data();
}

void Unregister(const std::byte* data) {
  const std::lock_guard lock(mappings_mutex);
  for (Mapping* m = mappings.load(); m; m = m->next) {
    if (m->data.load() == data) m->data = nullptr;
  }
}

}  // namespace

const char* MappedPathAt(const void* address) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  for (const Mapping* m = mappings.load(); m; m = m->next) {
    const auto begin = reinterpret_cast<uintptr_t>(m->data.load());
    // Up to the end of the last page, which is mapped too.
    if (begin != 0 && at >= begin && at - begin < (m->size.load() + 4095) / 4096 * 4096)
      return m->path;
  }
  return nullptr;
}

const char* KindOfFile(mode_t mode) {
  if (S_ISREG(mode)) return "is a file";
  if (S_ISDIR(mode)) return "is a folder, not a file";
  if (S_ISFIFO(mode)) return "is a pipe, not a file";
  if (S_ISSOCK(mode)) return "is a socket, not a file";
  return "is a device, not a file";
}

int OpenRegular(const Path& path, struct stat& info) {
  if (path.native().find('\0') != std::string::npos)
    throw InputError(path.string(), ": a path cannot hold a NUL character");
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) throw InputError(path.string(), ": cannot be opened: ", ErrnoText());
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) return fd;
  ::close(fd);
  throw InputError(path.string(), ": ", KindOfFile(info.st_mode));
}

std::shared_ptr<const MappedFile> MappedFile::Open(const Path& path) {
  struct stat info {};
  const Descriptor file{OpenRegular(path, info)};
  std::shared_ptr<MappedFile> out(new MappedFile);
  out->path_ = path;
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) return out;
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) throw Failure(path.string(), ": cannot be mapped: ", ErrnoText());
  out->size_ = size;
  out->data_ = static_cast<const std::byte*>(data);
  Register(*out);
  return out;
}

std::shared_ptr<const MappedFile> MappedFile::Zeros(size_t size) {
  std::shared_ptr<MappedFile> out(new MappedFile);
  if (size == 0) return out;
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) throw Failure("no address space for ", size, " bytes: ", ErrnoText());
  out->size_ = size;
  out->data_ = static_cast<const std::byte*>(data);
  return out;
}

MappedFile::~MappedFile() {
  if (size_ == 0) return;
  Unregister(data_);
  ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::Drop(Bytes part) const {
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(part.data());
  const uintptr_t begin = (first + page - 1) / page * page;
  const uintptr_t end = (first + part.size()) / page * page;
  if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

std::string ReadText(const Path& path, uint64_t most) {
  struct stat info {};
  const Descriptor file{OpenRegular(path, info)};
  const auto too_long = [&](uint64_t bytes) {
    return InputError(path.string(), ": has ", bytes, " bytes; a text of this kind has at most ",
                      most);
  };
  if (static_cast<uint64_t>(info.st_size) > most)
    throw too_long(static_cast<uint64_t>(info.st_size));
  std::string out;
  out.reserve(static_cast<size_t>(info.st_size));
  char buffer[1 << 16];
  for (ssize_t n; (n = ::read(file.fd, buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw InputError(path.string(), ": cannot be read: ", ErrnoText());
    out.append(buffer, static_cast<size_t>(n));
    if (out.size() > most) throw too_long(out.size());
  }
  return out;
}

}  // namespace retort
