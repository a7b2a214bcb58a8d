// SPDX-License-Identifier: Apache-2.0
// A parameter's own rate multiplies the learning rate (LoRA+).
#include <gtest/gtest.h>

#include "train/optimizer.h"

namespace retort {
namespace {

TEST(OptimizerRate, MultipliesTheLearningRate) {
  const auto backend = MakeReferenceBackend();
  for (const char* name : {"sgd", "adamw", "lion"}) {
    Parameter usual("usual", backend->FromDoubles(std::vector<double>{1, 2}, {2})),
        fast("fast", backend->FromDoubles(std::vector<double>{1, 2}, {2}));
    fast.rate = 4;
    OptimizerOptions options;
    options.kind = OptimizerNamed(name);
    options.clip = 0;
    Optimizer optimizer({&usual, &fast}, options, *backend);
    for (Parameter* p : {&usual, &fast})
      p->gradient.Accumulate(*backend, backend->FromDoubles(std::vector<double>{0.5, -1}, {2}));
    optimizer.Step(0.01, backend->Upload(std::vector<double>{1}));
    const std::vector<double> a = backend->ToDoubles(usual.value),
                              b = backend->ToDoubles(fast.value);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_NE(a[i], i + 1.0) << name;
      EXPECT_NEAR(b[i] - (i + 1.0), 4 * (a[i] - (i + 1.0)), 1e-12) << name;
    }
  }
}

}  // namespace
}  // namespace retort
