// SPDX-License-Identifier: Apache-2.0
#include "base/large_pages.h"

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/strings.h"

namespace retort {
namespace {

uintptr_t RoundUpToPage(uintptr_t at) { return (at + kLargePage - 1) / kLargePage * kLargePage; }

}  // namespace

void PreferLargePages(void* at, int64_t bytes) {
  const auto address = reinterpret_cast<uintptr_t>(at);
  const uintptr_t begin = RoundUpToPage(address),
                  end = (address + static_cast<uintptr_t>(bytes)) / kLargePage * kLargePage;
  if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

void DropPages(void* at, int64_t bytes) {
  constexpr uintptr_t kPage = 4096;
  const auto address = reinterpret_cast<uintptr_t>(at);
  const uintptr_t begin = (address + kPage - 1) / kPage * kPage,
                  end = (address + static_cast<uintptr_t>(bytes)) / kPage * kPage;
  if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

LargePages::LargePages(int64_t bytes)
    : bytes_(static_cast<int64_t>(RoundUpToPage(static_cast<uintptr_t>(bytes)))) {
  const auto size = static_cast<size_t>(bytes_);
  void* mapped = ::mmap(nullptr, size + kLargePage, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED)
    throw Failure("out of memory: ", BytesText(bytes_), " more: ", ErrnoText());
  auto* begin = static_cast<std::byte*>(mapped);
  data_ = reinterpret_cast<std::byte*>(RoundUpToPage(reinterpret_cast<uintptr_t>(mapped)));
  const auto before = static_cast<size_t>(data_ - begin);
  if (before > 0) ::munmap(begin, before);
  ::munmap(data_ + bytes_, kLargePage - before);
  PreferLargePages(data_, bytes_);
}

LargePages::~LargePages() {
  // Removes AddressSanitizer's poison, set by tensor/arena.cc: it must not outlive the pages.
  ASAN_UNPOISON_MEMORY_REGION(data_, static_cast<size_t>(bytes_));
  ::munmap(data_, static_cast<size_t>(bytes_));
}

}  // namespace retort
