// SPDX-License-Identifier: Apache-2.0
#include "tests/support/stage.h"

namespace retort {
namespace {

OpCase GemmCase(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b, float beta) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor left = stage->Input("a", transpose_a ? Shape{k, m} : Shape{m, k});
    const Tensor right = stage->Input("b", transpose_b ? Shape{n, k} : Shape{k, n});
    // beta = 0 must overwrite the NaN of Output().
    Tensor c = beta == 0 ? stage->Output("c", {m, n}) : stage->InOut("c", {m, n});
    return RunOn(stage, [=, &b]() mutable {
      b.Gemm(transpose_a, transpose_b, 0.75f, left, right, beta, c);
    });
  };
  return {
      "gemm",
      Cat("m", m, "_n", n, "_k", k, "_", transpose_a ? "t" : "n", transpose_b ? "t" : "n", "_beta_",
          beta == 0   ? "0"
          : beta == 1 ? "1"
                      : "half"),
      2e-6,
      Compute::kF32,
      2.0 * m * n * k,
      4.0 * (m * k + k * n + m * n),
      prepare};
}

}  // namespace

// Includes the three products of an adapter: x A^T (N x R), u B^T and their gradients.
std::vector<OpCase> GemmCases() {
  struct Size {
    int64_t m, n, k;
  };
  std::vector<OpCase> cases;
  for (const Size& s : {Size{1, 1, 1},
                        {7, 1, 65},
                        {1, 172, 16},
                        {129, 16, 172},
                        {172, 8, 129},
                        {64, 64, 64},
                        {17, 576, 1},
                        {300, 520, 1088}}) {
    for (bool transpose_a : {false, true}) {
      for (bool transpose_b : {false, true}) {
        for (float beta : {0.0f, 1.0f, 0.5f}) {
          if (s.k > 1000 && beta != 1) continue;
          cases.push_back(GemmCase(s.m, s.n, s.k, transpose_a, transpose_b, beta));
        }
      }
    }
  }
  return cases;
}

}  // namespace retort
