// SPDX-License-Identifier: Apache-2.0
#include "base/machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <memory>

namespace retort {
namespace {

TEST(AvailableMemory, IsWithinTheMachinesAndShrinksAsItIsUsed) {
  const int64_t all = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  constexpr int64_t kBytes = int64_t{64} << 20;
  bool shrank = false;
  for (int attempt = 0; attempt < 50 && !shrank; ++attempt) {  // others allocate and free meanwhile
    const int64_t before = AvailableMemory();
    ASSERT_GT(before, 0);
    ASSERT_LE(before, all);
    if (before < 2 * kBytes) GTEST_SKIP() << "too little memory is left to take some";
    const auto taken = std::make_unique<char[]>(kBytes);
    std::memset(taken.get(), 1, kBytes);
    shrank = AvailableMemory() < before - kBytes / 2;
    EXPECT_EQ(taken[kBytes / 2], 1);
  }
  EXPECT_TRUE(shrank);
}

}  // namespace
}  // namespace retort
