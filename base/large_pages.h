// SPDX-License-Identifier: Apache-2.0
// Memory in pages of 2 MiB where the system supports them. With small pages, a sequential read
// needs an address translation every 4 KiB, which in a virtual machine costs a tenth of the
// bandwidth.
#pragma once

#include <cstddef>
#include <cstdint>

namespace retort {

inline constexpr int64_t kLargePage = int64_t{2} << 20;

// Requests large pages for those that lie completely within [at, at + bytes).
void PreferLargePages(void* at, int64_t bytes);

// Returns the pages that lie completely within [at, at + bytes) to the system. They read as zeros
// afterwards.
void DropPages(void* at, int64_t bytes);

// A zero-initialised region; pages become resident when they are first touched.
class LargePages {
 public:
  explicit LargePages(int64_t bytes);  // rounded up to whole pages; throws Error{kFailure}
  ~LargePages();
  LargePages(const LargePages&) = delete;
  LargePages& operator=(const LargePages&) = delete;

  std::byte* data() const { return data_; }  // at a multiple of kLargePage
  int64_t bytes() const { return bytes_; }

 private:
  std::byte* data_;
  int64_t bytes_;
};

}  // namespace retort
