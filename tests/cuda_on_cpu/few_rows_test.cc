// SPDX-License-Identifier: Apache-2.0
#include "tensor/cuda/few_rows.h"

#include <gtest/gtest.h>

#include "tensor/cuda/cuda_backend.h"
#include "tests/tensor/weights.h"

namespace retort {
namespace {

// So that a sequence's tokens do not depend on how many others are decoded with it.
TEST(CudaFewRows, ARowsBitsDoNotDependOnTheOthers) {
  TestWeights weights;
  cuda::CudaBackend backend(0, 1, Compute::kF32);
  struct Case {
    WeightFormat format;
    int64_t out, in;  // outputs that no block divides; one warp a block, and several
  };
  for (const Case& c : {Case{WeightFormat::kQ4_0, 37, 96},
                        {WeightFormat::kNF4, 6, 2304},
                        {WeightFormat::kF32, 3, 2500}}) {
    SCOPED_TRACE(TraitsOf(c.format).name);
    const PreparedWeight w = backend.Prepare(
        weights.Make(c.format, c.out, c.in, RandomFloats(c.out * c.in, 1, 0.1)), {});
    const std::vector<float> x = RandomFloats(cuda::kFewRows * c.in, 2);
    const auto product = [&](int64_t first, int64_t rows) {
      const std::vector<float> part(x.begin() + first * c.in, x.begin() + (first + rows) * c.in);
      Tensor y = backend.New({rows, c.out});
      backend.LinearForward(backend.FromFloats(part, {rows, c.in}), w, y);
      return backend.ToFloats(y);
    };
    std::vector<float> alone;
    for (int64_t t = 0; t < cuda::kFewRows; ++t) Append(alone, product(t, 1));
    for (const int64_t rows : {int64_t{2}, int64_t{7}, int64_t{11}, cuda::kFewRows}) {
      EXPECT_EQ(product(0, rows), std::vector<float>(alone.begin(), alone.begin() + rows * c.out))
          << rows;
    }
  }
}

}  // namespace
}  // namespace retort
