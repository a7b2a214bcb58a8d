// SPDX-License-Identifier: Apache-2.0
#include "tests/tensor/op_faults.h"

namespace retort {

TEST_P(OpFaultTest, IsReported) {
  const std::unique_ptr<Backend> faulty = GetParam().make();
  const std::unique_ptr<Backend> sound = MakeReferenceBackend();
  std::string reports;
  for (const OpCase& op_case : AllOpCases()) {
    if (op_case.kernel != GetParam().kernel || !op_case.variant.starts_with(GetParam().variants)) {
      continue;
    }
    const std::vector<OpOutput> want = OutputsOf(op_case, *sound);
    EXPECT_EQ(Differences(OutputsOf(op_case, *sound), want, 0), "") << op_case.name();
    reports += Differences(OutputsOf(op_case, *faulty), want, op_case.tolerance);
  }
  EXPECT_NE(reports, "");
}

}  // namespace retort
