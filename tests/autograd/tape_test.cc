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
  for (int i = 0; i < 50; ++i) x = ops::SwiGlu(context, x, x);
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
