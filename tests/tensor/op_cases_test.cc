// SPDX-License-Identifier: Apache-2.0
// The CPU's kernels against the double reference, for the shared table of cases: with every
// instruction set of this processor, and with one and two threads, which must give the same bits.
#include "tests/support/op_cases.h"

#include <gtest/gtest.h>

#include "tensor/cpu/cpu_backend.h"

namespace retort {
namespace {

constexpr std::pair<Isa, const char*> kIsas[] = {
    {Isa::kPortable, "portable code"}, {Isa::kAvx2, "AVX2"}, {Isa::kAvx512, "AVX-512"}};

std::vector<OpOutput> OnCpu(const OpCase& op_case, Isa isa, int threads) {
  CpuBackend backend(threads, op_case.compute);
  backend.set_isa(isa);
  return OutputsOf(op_case, backend);
}

class CpuOpTest : public testing::TestWithParam<std::string> {};

TEST_P(CpuOpTest, AgreesWithTheReference) {
  for (const OpCase& op_case : AllOpCases()) {
    if (op_case.kernel != GetParam()) continue;
    const std::vector<OpOutput> want = OutputsOf(op_case, *MakeReferenceBackend());
    for (const auto& [isa, isa_name] : kIsas) {
      if (isa > HostIsa()) continue;
      SCOPED_TRACE(Cat(op_case.name(), " with ", isa_name));
      const std::vector<OpOutput> one = OnCpu(op_case, isa, 1);
      EXPECT_EQ(Differences(one, want, op_case.tolerance), "");
      EXPECT_EQ(Differences(OnCpu(op_case, isa, 2), one, 0), "") << "two threads against one";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, CpuOpTest, testing::ValuesIn(KernelsOfCases()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace retort
