// SPDX-License-Identifier: Apache-2.0
#include "base/machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

namespace retort {
namespace {

TEST(AvailableMemory, IsWithinTheMachinesAndShrinksAsItIsUsed) {
  const int64_t all = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  constexpr int64_t kBytes = int64_t{64} << 20;
  const int64_t before = AvailableMemory();
  ASSERT_GT(before, 0);
  ASSERT_LE(before, all);
  // Others allocate and free meanwhile, and the kernel keeps pages that were just freed aside: what
  // is taken is held, until it shows.
  std::vector<std::vector<char>> taken;
  bool shrank = false;
  while (!shrank && taken.size() < 50) {
    if (AvailableMemory() < 2 * kBytes) GTEST_SKIP() << "too little memory is left to take some";
    taken.emplace_back(static_cast<size_t>(kBytes), '\1');
    shrank = AvailableMemory() < before - kBytes / 2;
  }
  EXPECT_TRUE(shrank);
}

}  // namespace
}  // namespace retort
