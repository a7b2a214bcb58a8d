// SPDX-License-Identifier: Apache-2.0
// The awkward device runs the whole table of kernel cases, with the same bits as the kernels that
// it wraps. This shows that the cases, and the code that they use, never access a device's memory
// on the host and always wait before they read results.
#include <gtest/gtest.h>

#include "tests/support/awkward_backend.h"
#include "tests/support/op_cases.h"
#include "tests/tensor/weights.h"

namespace retort {
namespace {

class AwkwardOpTest : public testing::TestWithParam<std::string> {};

TEST_P(AwkwardOpTest, GivesTheBitsOfTheKernelsInside) {
  for (const OpCase& op_case : AllOpCases()) {
    if (op_case.kernel != GetParam()) continue;
    SCOPED_TRACE(op_case.name());
    const auto plain = MakeCpuBackend(1, op_case.compute);
    const auto awkward = MakeAwkwardBackend(1, op_case.compute);
    EXPECT_EQ(Differences(OutputsOf(op_case, *awkward), OutputsOf(op_case, *plain), 0), "");
  }
}

INSTANTIATE_TEST_SUITE_P(Table, AwkwardOpTest, testing::ValuesIn(KernelsOfCases()),
                         [](const auto& info) { return info.param; });

TEST(Awkward, RefusesWhoPeeks) {
  const auto device = MakeAwkwardBackend(1, Compute::kF32);
  const Tensor x = device->FromFloats(std::vector<float>{1, 2, 3}, {3});
  EXPECT_THROW(x.data<float>(), Error);
  EXPECT_THROW(x.raw(), Error);
  EXPECT_EQ(device->ToFloats(x), (std::vector<float>{1, 2, 3}));
  EXPECT_THROW(x.data<float>(), Error);  // closed again
}

TEST(AwkwardDeathTest, KillsWhoReadsPastTheCheck) {
  const auto device = MakeAwkwardBackend(1, Compute::kF32);
  const Tensor x = device->FromFloats(std::vector<float>{1, 2, 3}, {3});
  device->ToFloats(x);
  EXPECT_DEATH((void)*reinterpret_cast<volatile float*>(x.address()), "");
}

TEST(Awkward, RunsLate) {
  const auto device = MakeAwkwardBackend(1, Compute::kF32);
  std::vector<float> values = {1, 2, 3};
  const Tensor x = device->Upload(values);
  values = {7, 7, 7};  // the source is free
  Tensor y = device->New({3});
  device->Add(x, x, y);
  std::vector<float> out = {-1, -1, -1};
  const Event done = device->Download(y, std::span(out));
  EXPECT_EQ(device->waiting(), 3u);
  EXPECT_EQ(out[0], -1);
  device->Wait(done);
  EXPECT_EQ(out, (std::vector<float>{2, 4, 6}));
  EXPECT_EQ(device->waiting(), 0u);
}

// Memory that is given back while work on it waits is handed out again, and the order of the queue
// keeps both users apart.
TEST(Awkward, MemoryIsGivenBackInTheOrderOfItsWork) {
  const auto device = MakeAwkwardBackend(1, Compute::kF32);
  Tensor sum = device->Zeros({4});
  const std::byte* first = nullptr;
  bool reused = false;
  for (int i = 1; i <= 3; ++i) {
    const Tensor x = device->Upload(std::vector<float>(4, static_cast<float>(i)));
    reused = reused || x.address() == first;
    first = x.address();
    device->Accumulate(x, sum);
  }
  EXPECT_TRUE(reused);
  EXPECT_EQ(device->ToFloats(sum), std::vector<float>(4, 6));
}

TEST(Awkward, FaultsOfLateKernelsAreThrownWhereOneWaits) {
  const auto device = MakeAwkwardBackend(1, Compute::kF32);
  const Tensor x = device->Zeros({4, 8});
  Tensor out = device->New({1, 8});
  EXPECT_NO_THROW(device->GatherRows(x, device->Upload(std::vector<int32_t>{4}), out));
  EXPECT_THROW(device->ToFloats(out), Error);
  EXPECT_EQ(device->ToFloats(x), std::vector<float>(32, 0));  // and it goes on
}

TEST(Awkward, OtherDevicesWeightsAndPlansAreRefused) {
  const auto device = MakeAwkwardBackend(1, Compute::kF32);
  const auto cpu = MakeCpuBackend(1, Compute::kF32);
  TestWeights weights;
  const Weight w = weights.Make(WeightFormat::kF32, 4, 8, RandomFloats(32, 1));
  Tensor x = device->Zeros({1, 8}), y = device->New({1, 4});
  Tensor x2 = cpu->Zeros({1, 8}), y2 = cpu->New({1, 4});
  EXPECT_THROW(device->LinearForward(x, cpu->Prepare(w, {}), y), Error);
  EXPECT_THROW(cpu->LinearForward(x2, device->Prepare(w, {}), y2), Error);
  EXPECT_THROW(cpu->LinearForward(x, cpu->Prepare(w, {}), y2), Error);
  const AttentionLayout layout{{{0, 1, 0, 0}}, {0}, 1};
  Tensor log_sum = cpu->New({1, 1});
  EXPECT_THROW(cpu->Attention({1, 1, 8, 1}, *device->Plan(layout), x2, x2, x2, x2, log_sum), Error);
}

}  // namespace
}  // namespace retort
