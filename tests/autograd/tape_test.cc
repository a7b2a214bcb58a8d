// SPDX-License-Identifier: Apache-2.0
#include "autograd/tape.h"

#include <gtest/gtest.h>

#include "autograd/ops.h"

namespace retort {
namespace {

TEST(Tape, FreesWhatAStepSavedAsSoonAsItHasRun) {
  auto backend = MakeReferenceBackend();
  Parameter p("p", backend->FromDoubles(std::vector<double>(1000, 1.0), {10, 100}));
  const int64_t before = backend->memory().live_bytes();
  Tape tape(*backend);
  Context context{*backend, &tape};
  Var x = p.var();
  for (int i = 0; i < 50; ++i) x = ops::GatedActivation(context, Activation::kSilu, x, x);
  const int64_t taped = backend->memory().live_bytes();
  x.GradientSum(*backend);
  x.value = Tensor();
  tape.Run();
  x = {};
  EXPECT_GT(taped - before, 49 * 8000);
  EXPECT_EQ(tape.size(), 0u);
  // Only the parameter's gradient is left.
  EXPECT_LE(backend->memory().live_bytes() - before, 2 * 8192);
}

TEST(Tape, HoldsNoValueThatNoBackwardNeeds) {
  auto backend = MakeReferenceBackend();
  Parameter p("p", backend->Zeros({10, 64}));
  Tape tape(*backend);
  Context context{*backend, &tape};
  const ops::RotaryAngles angles{backend->Zeros({10, 8}), backend->Zeros({10, 8})};
  Var x = p.var();
  const int64_t before = backend->memory().live_bytes();
  for (int i = 0; i < 20; ++i) {
    x = ops::Add(context, x, p.var());
    x = ops::Rotary(context, x, angles, 4);
  }
  // Of 40 outputs only the last is alive.
  EXPECT_LE(backend->memory().live_bytes() - before, 2 * 10 * 64 * 8);
}

TEST(Tape, GivesAStepTheGradientsOfAllItsOutputs) {
  auto backend = MakeReferenceBackend();
  Parameter p("p", backend->FromDoubles(std::vector<double>{1.0}, {1, 1}));
  Tape tape(*backend);
  std::vector<Var> outputs = {{p.value}, {p.value}, {p.value}};
  std::vector<Tensor> received;
  tape.RecordAll(outputs, [&](Backend&, std::span<const Tensor> dy) {
    received.assign(dy.begin(), dy.end());
  });
  backend->Fill(outputs[0].GradientSum(*backend), 2);
  backend->Fill(outputs[2].GradientSum(*backend), 3);
  tape.Run();
  ASSERT_EQ(received.size(), 3u);
  EXPECT_EQ(backend->ToDoubles(received[0])[0], 2);
  EXPECT_FALSE(received[1]);  // nothing came that way
  EXPECT_EQ(backend->ToDoubles(received[2])[0], 3);
}

TEST(Tape, RecordsNothingForFrozenInputsAndWithoutATape) {
  auto backend = MakeReferenceBackend();
  Tape tape(*backend);
  Context taped{*backend, &tape};
  const Var frozen{backend->Zeros({2, 3})};
  EXPECT_FALSE(ops::Add(taped, frozen, frozen).wants_gradient());
  EXPECT_EQ(tape.size(), 0u);
  Parameter p("p", backend->Zeros({2, 3}));
  Context plain{*backend};
  EXPECT_FALSE(ops::Add(plain, p.var(), frozen).wants_gradient());
}

TEST(Tape, ALongChainNeedsNoRecursion) {
  auto backend = MakeReferenceBackend();
  Parameter p("p", backend->FromDoubles(std::vector<double>{1.0}, {1, 1}));
  Tape tape(*backend);
  Context context{*backend, &tape};
  const Var zero{backend->Zeros({1, 1})};
  Var x = p.var();
  for (int i = 0; i < 200000; ++i) x = ops::Add(context, x, zero);
  backend->Fill(x.GradientSum(*backend), 1);
  tape.Run();
  EXPECT_EQ(backend->ToDoubles(p.gradient.sum())[0], 1.0);
}

}  // namespace
}  // namespace retort
