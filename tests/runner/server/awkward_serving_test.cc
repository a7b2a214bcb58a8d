// SPDX-License-Identifier: Apache-2.0
// A conversation served on a device whose memory the host may not access and whose work runs late.
// The answers must be those of the wrapped CPU kernels.
#include <gtest/gtest.h>

#include "tests/runner/server/two_turns.h"
#include "tests/support/awkward_backend.h"

namespace retort {
namespace {

TEST(AwkwardServing, AConversationIsThatOfTheCpu) {
  for (const DType cache_type : {DType::kF32, DType::kBF16}) {
    const auto cpu = MakeCpuBackend(1, Compute::kF32);
    const auto awkward = MakeAwkwardBackend(1, Compute::kF32);
    const std::vector<std::string> want = TwoTurns(*cpu, cache_type);
    ASSERT_EQ(want.size(), 2u);
    EXPECT_NE(want[0], "");
    EXPECT_EQ(TwoTurns(*awkward, cache_type), want);
  }
}

}  // namespace
}  // namespace retort
