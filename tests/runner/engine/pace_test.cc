// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/pace.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

// A machine on which a step takes `fixed` and `each` for every row.
struct Machine {
  double fixed, each;
  double Step(int64_t rows) const { return fixed + each * static_cast<double>(rows); }
};

// Lets `pace` learn about the machine, and gives the longest step of the last hundred over one
// without prompts.
double Longest(Pace& pace, const Machine& machine, int64_t generating) {
  double longest = 0;
  for (int step = 0; step < 200; ++step) {
    const int64_t tokens = pace.Tokens(generating);
    const double seconds = machine.Step(generating + tokens);
    pace.Observe(generating, tokens, seconds);
    if (step >= 100) longest = std::max(longest, seconds / machine.Step(generating));
  }
  return longest;
}

TEST(Pace, HoldsAStepToTwiceAPlainOne) {
  for (const Machine& machine :
       {Machine{1e-2, 1e-4}, Machine{1e-3, 1e-4}, Machine{1e-1, 1e-2}, Machine{1e-3, 2e-5}}) {
    for (const int64_t generating : {2, 8, 16}) {
      Pace pace;
      EXPECT_LT(Longest(pace, machine, generating), 2) << machine.fixed << ", " << generating;
    }
  }
}

TEST(Pace, ReadsAsMuchAsThatAllows) {
  Pace pace;
  const Machine machine{1e-2, 1e-4};
  EXPECT_GT(Longest(pace, machine, 2), 1.5);
  EXPECT_GT(pace.Tokens(2), 50);
}

// Nothing to wait for: prompts are read, but not so much that the next must wait long.
TEST(Pace, ReadsMostWhileNothingGenerates) {
  Pace pace;
  EXPECT_EQ(pace.Tokens(0), Pace::kMost);
  pace.Observe(0, 128, 5);
  EXPECT_EQ(pace.Tokens(0), Pace::kMost);
}

// So that a prompt's first token comes within two steps.
TEST(Pace, NeverMeasuresTwiceInARow) {
  Pace pace;
  int64_t before = 1;
  for (int step = 0; step < 100; ++step) {
    const int64_t tokens = pace.Tokens(3);
    EXPECT_TRUE(tokens > 0 || before > 0) << step;
    pace.Observe(3, tokens, 1e-3 * static_cast<double>(3 + tokens));
    before = tokens;
  }
}

}  // namespace
}  // namespace retort
