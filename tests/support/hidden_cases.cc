// SPDX-License-Identifier: Apache-2.0
#include "tests/support/stage.h"

namespace retort {
namespace {

OpCase HiddenDistanceCase(HiddenLossKind kind, int64_t rows, int64_t width, float gradient_scale) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    Tensor y = stage->InOut("y", {rows, width});
    const Tensor target = stage->Input("target", {rows, width}, 3);
    Tensor losses = stage->Doubles("losses", rows);
    return RunOn(stage,
                 [=, &b]() mutable { b.HiddenDistance(y, target, kind, gradient_scale, losses); });
  };
  return {"hidden_distance",
          Cat(kind == HiddenLossKind::kMse ? "mse" : "cosine", "_n", rows, "_d", width,
              gradient_scale == 0 ? "" : "_grad"),
          1e-6,
          Compute::kF32,
          6.0 * rows * width,
          12.0 * rows * width,
          prepare};
}

}  // namespace

std::vector<OpCase> HiddenCases() {
  struct Size {
    int64_t rows, width;
  };
  std::vector<OpCase> cases;
  for (const Size& s : {Size{1, 2}, {3, 7}, {17, 65}, {129, 64}, {5, 2048}}) {
    for (HiddenLossKind kind : {HiddenLossKind::kMse, HiddenLossKind::kCosine}) {
      for (float scale : {0.0f, 0.37f}) {
        cases.push_back(HiddenDistanceCase(kind, s.rows, s.width, scale));
      }
    }
  }
  return cases;
}

}  // namespace retort
