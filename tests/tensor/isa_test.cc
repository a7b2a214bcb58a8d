// SPDX-License-Identifier: Apache-2.0
#include "tensor/isa.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "tensor/backend.h"
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/int8_dots.h"

namespace retort {
namespace {

TEST(IsaTest, NamesAreSetsUpToTheBest) {
  EXPECT_EQ(ParseIsa("", Isa::kAvx2), Isa::kAvx2);
  EXPECT_EQ(ParseIsa("portable", Isa::kAvx512), Isa::kPortable);
  EXPECT_EQ(ParseIsa("avx2", Isa::kAvx512), Isa::kAvx2);
  EXPECT_EQ(ParseIsa("avx2", Isa::kAvx2), Isa::kAvx2);
  EXPECT_EQ(ParseIsa("avx512", Isa::kAvx512), Isa::kAvx512);
}

std::string Refusal(std::string_view name, Isa best) {
  try {
    ParseIsa(name, best);
  } catch (const Error& e) {
    return e.kind() == Error::Kind::kInput ? e.what() : "not the user's fault";
  }
  return "taken";
}

TEST(IsaTest, OthersAreRefusedWithWhatThereIs) {
  EXPECT_EQ(
      Refusal("avx512", Isa::kAvx2),
      "RETORT_ISA: no instruction set \"avx512\" on this processor; available: portable, avx2");
  EXPECT_EQ(Refusal("avx2", Isa::kPortable),
            "RETORT_ISA: no instruction set \"avx2\" on this processor; available: portable");
  EXPECT_EQ(
      Refusal("AVX2", Isa::kAvx512),
      "RETORT_ISA: no instruction set \"AVX2\" on this processor; available: portable, avx2, avx512");
}

// Runs as it is and, with RETORT_ISA set, under each set: what the variable says is what kernels
// take.
TEST(IsaTest, TheProcessTakesWhatTheEnvironmentSays) {
  const char* name = std::getenv("RETORT_ISA");
  EXPECT_EQ(HostIsa(), ParseIsa(name ? name : "", ProcessorIsa()));
  EXPECT_EQ(CpuBackend(1, Compute::kF32).isa(), HostIsa());
  if (HostIsa() < Isa::kAvx512) {
    EXPECT_FALSE(CpuHasBf16());
    EXPECT_FALSE(CpuHasVnni());
  }
}

}  // namespace
}  // namespace retort
