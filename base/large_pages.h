// SPDX-License-Identifier: Apache-2.0
// Memory in pages of 2 MiB where the system has them. What streams through small pages has its
// addresses looked up every 4 KiB, which in a virtual machine costs a tenth of the bandwidth.
#pragma once

#include <cstddef>
#include <cstdint>

namespace retort {

inline constexpr int64_t kLargePage = int64_t{2} << 20;

// Asks for large pages where they lie whole within the bytes from `at` on.
void PreferLargePages(void* at, int64_t bytes);

// Gives the pages that lie whole within these bytes back to the system. They read as zeros
// afterwards.
void DropPages(void* at, int64_t bytes);

// Zeros, made resident as they are touched.
class LargePages {
 public:
  explicit LargePages(int64_t bytes);  // rounded up to whole pages; throws Failure
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
