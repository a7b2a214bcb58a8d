// SPDX-License-Identifier: Apache-2.0
// The table of kernel cases through the CUDA sources, against the double reference.
#include <gtest/gtest.h>

#include "tensor/cuda/cuda_backend.h"
#include "tests/support/op_cases.h"

namespace retort {
namespace {

std::vector<OpOutput> OnCuda(const OpCase& op_case) {
  cuda::CudaBackend backend(0, 1, op_case.compute);
  return OutputsOf(op_case, backend);
}

class CudaOpTest : public testing::TestWithParam<std::string> {};

TEST_P(CudaOpTest, AgreesWithTheReference) {
  for (const OpCase& op_case : AllOpCases()) {
    if (op_case.kernel != GetParam()) continue;
    SCOPED_TRACE(op_case.name());
    try {
      const std::vector<OpOutput> got = OnCuda(op_case);
      const std::vector<OpOutput> want = OutputsOf(op_case, *MakeReferenceBackend());
      EXPECT_EQ(Differences(got, want, op_case.tolerance), "");
      EXPECT_EQ(Differences(OnCuda(op_case), got, 0), "") << "a second run";
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, CudaOpTest, testing::ValuesIn(KernelsOfCases()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace retort
