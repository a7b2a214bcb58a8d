// SPDX-License-Identifier: Apache-2.0
#include "base/large_pages.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace retort {
namespace {

TEST(LargePages, AreWholeAlignedAndZero) {
  for (const int64_t bytes : {int64_t{1}, kLargePage, 3 * kLargePage - 1}) {
    const LargePages pages(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pages.data()) % kLargePage, 0u);
    EXPECT_EQ(pages.bytes(), (bytes + kLargePage - 1) / kLargePage * kLargePage);
    EXPECT_TRUE(std::all_of(pages.data(), pages.data() + pages.bytes(),
                            [](std::byte b) { return b == std::byte{0}; }));
    std::fill_n(pages.data(), pages.bytes(), std::byte{1});
  }
}

}  // namespace
}  // namespace retort
