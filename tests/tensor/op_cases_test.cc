// SPDX-License-Identifier: Apache-2.0
// The CPU's kernels against the double reference, case by case of the shared table, and one thread
// against two, which must agree to the bit.
#include <gtest/gtest.h>

#include "tests/support/op_cases.h"

namespace retort {
namespace {

class CpuOpTest : public testing::TestWithParam<OpCase> {};

TEST_P(CpuOpTest, AgreesWithReferenceAtAnyNumberOfThreads) {
  const OpCase& op_case = GetParam();
  const std::vector<OpOutput> want = OutputsOf(op_case, *MakeReferenceBackend());
  const std::vector<OpOutput> one = OutputsOf(op_case, *MakeCpuBackend(1, op_case.compute));
  const std::vector<OpOutput> two = OutputsOf(op_case, *MakeCpuBackend(2, op_case.compute));
  EXPECT_EQ(Differences(one, want, op_case.tolerance), "");
  EXPECT_EQ(Differences(two, one, 0), "") << "two threads against one";
}

INSTANTIATE_TEST_SUITE_P(Table, CpuOpTest, testing::ValuesIn(AllOpCases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace retort
