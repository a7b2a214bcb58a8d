// SPDX-License-Identifier: Apache-2.0
// The CPU's kernels against the double reference, by the shared table, and one thread against two,
// which must agree to the bit.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/op_cases.h"

namespace retort {
namespace {

std::vector<std::string> Kernels() {
  std::vector<std::string> kernels;
  for (const OpCase& op_case : AllOpCases()) kernels.push_back(op_case.kernel);
  std::ranges::sort(kernels);
  kernels.erase(std::unique(kernels.begin(), kernels.end()), kernels.end());
  return kernels;
}

class CpuOpTest : public testing::TestWithParam<std::string> {};

TEST_P(CpuOpTest, AgreesWithReferenceAtAnyNumberOfThreads) {
  for (const OpCase& op_case : AllOpCases()) {
    if (op_case.kernel != GetParam()) continue;
    SCOPED_TRACE(op_case.name());
    const std::vector<OpOutput> want = OutputsOf(op_case, *MakeReferenceBackend());
    const std::vector<OpOutput> one = OutputsOf(op_case, *MakeCpuBackend(1, op_case.compute));
    const std::vector<OpOutput> two = OutputsOf(op_case, *MakeCpuBackend(2, op_case.compute));
    EXPECT_EQ(Differences(one, want, op_case.tolerance), "");
    EXPECT_EQ(Differences(two, one, 0), "") << "two threads against one";
  }
}

INSTANTIATE_TEST_SUITE_P(Table, CpuOpTest, testing::ValuesIn(Kernels()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace retort
