// SPDX-License-Identifier: Apache-2.0
// Backends with one deliberate fault each, of kinds that are typical of fast kernels. The table's
// cases must detect each fault as a difference from the reference. Each file of faults has its own
// list and instantiates OpFaultTest with it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tensor/reference/reference_backend.h"
#include "tests/support/op_cases.h"

namespace retort {

using Reference = ReferenceBackend;

struct Fault {
  const char* name;
  const char* kernel;
  const char* variants;  // what the names of the variants that are run begin with; one must tell
  std::unique_ptr<Backend> (*make)();
};
template <class Faulty>
std::unique_ptr<Backend> Make() {
  return std::make_unique<Faulty>();
}
inline std::string NameOfFault(const testing::TestParamInfo<Fault>& info) {
  return info.param.name;
}

class OpFaultTest : public testing::TestWithParam<Fault> {};

}  // namespace retort
