// SPDX-License-Identifier: Apache-2.0
// Faults that no test has taken fail the run.
#include <gtest/gtest.h>

#include "tests/cuda_on_cpu/memory.h"

namespace {

class NoFaultIsLeft : public testing::Environment {
 public:
  void TearDown() override {
    for (const std::string& fault : retort::cuda::emulated::TakeFaults())
      ADD_FAILURE() << "in work that nobody waited for: " << fault;
  }
};

const testing::Environment* const kEnvironment =
    testing::AddGlobalTestEnvironment(new NoFaultIsLeft);

}  // namespace
