// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "tests/support/stage.h"

namespace retort {
namespace {

// The exponentials of logits of size 40 overflow f32 unless the maximum is subtracted first. Each
// row has its own scale, the first one `scale`. 0: no gradient is computed.
OpCase CrossEntropyCase(int64_t rows, int64_t vocabulary, int size, float scale) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const std::vector<float> values = stage->Normal(rows * vocabulary, size);
    std::vector<int32_t> targets = stage->Below(rows, vocabulary);
    targets.back() = static_cast<int32_t>(vocabulary - 1);
    Tensor logits = stage->InOut("logits", {rows, vocabulary}, values);
    const Tensor wanted = stage->Indices(targets);
    Tensor losses = stage->Doubles("losses", rows);
    std::vector<float> own;
    for (int64_t i = 0; i < rows; ++i) own.push_back(scale * static_cast<float>(1 - i % 4));
    const Tensor scales = scale == 0 ? Tensor() : b.Upload(own);
    return RunOn(stage, [=, &b]() mutable { b.CrossEntropy(logits, wanted, scales, losses); });
  };
  // An f32 logit of 160 is itself only accurate to 1e-5, and so is its exponential.
  return {"cross_entropy",
          Cat("n", rows, "_v", vocabulary, "_z", size, scale == 0 ? "" : "_grad"),
          size == 1 ? 1e-6 : 1e-5,
          Compute::kF32,
          6.0 * rows * vocabulary,
          8.0 * rows * vocabulary,
          prepare};
}

// Products of f32 values are exact in double, so the tolerance is small.
OpCase SumSquaresCase(int64_t count) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor x = stage->Input("x", {count});
    Tensor sum = stage->Sum("sum", 0.25);
    return RunOn(stage, [=, &b]() mutable { b.SumSquares(x, sum); });
  };
  return {"sum_squares", Cat("n", count), 1e-12, Compute::kF32, 2.0 * count, 4.0 * count, prepare};
}

OpCase AddSumCase(int64_t count, double factor) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const std::vector<float> values = stage->Normal(count);
    const Tensor x = b.Upload(std::vector<double>(values.begin(), values.end()));
    Tensor sum = stage->Sum("sum", 0.75);
    return RunOn(stage, [=, &b]() mutable { b.AddSum(x, factor, sum); });
  };
  return {"add_sum",   Cat("n", count, factor == 1 ? "" : "_factor"),
          1e-12,       Compute::kF32,
          1.0 * count, 8.0 * count,
          prepare};
}

// Norms below and above the limit, and no limit.
OpCase ClipCase(std::string name, double norm, double limit) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor squares = b.Upload(std::vector<double>{norm * norm});
    Tensor factor = stage->SingleOutput("factor");
    return RunOn(stage, [=, &b]() mutable { b.ClipFactor(squares, limit, factor); });
  };
  return {"clip_factor", std::move(name), 1e-7, Compute::kF32, 0, 0, prepare};
}

// A step as large as the parameter, and an epsilon as large as the root of v, so that every term
// has a visible effect.
OpCase AdamWCase(int64_t count, int64_t step) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const AdamWStep options{0.5f, 0.9f, 0.999f, 0.1f, 0.2f, step};
    const Tensor factor = stage->Singles("factor", {0.3f});
    std::vector<float> squares = stage->Normal(count);
    for (float& v : squares) v *= v;
    const Tensor gradient = stage->Input("gradient", {count});
    Tensor parameter = stage->InOut("parameter", {count});
    Tensor m = stage->InOut("m", {count});
    Tensor v = stage->InOut("v", {count}, squares);
    return RunOn(stage, [=, &b]() mutable { b.AdamW(options, factor, parameter, gradient, m, v); });
  };
  return {"adamw", Cat("n", count, "_step", step), 1e-6, Compute::kF32, 12.0 * count, 28.0 * count,
          prepare};
}

}  // namespace

std::vector<OpCase> LossAndOptimizerCases() {
  struct Size {
    int64_t rows, vocabulary;
  };
  std::vector<OpCase> cases;
  for (const Size& s : {Size{1, 1}, {1, 7}, {2, 105}, {17, 512}, {129, 105}, {3, 32000}}) {
    for (int size : {1, 40}) {
      for (float scale : {0.0f, 0.37f}) {
        if (s.vocabulary > 1 || scale == 0) {
          cases.push_back(CrossEntropyCase(s.rows, s.vocabulary, size, scale));
        }
      }
    }
  }
  for (int64_t count : {1, 7, 65, 1000, 99072}) {
    cases.push_back(SumSquaresCase(count));
    for (int64_t step : {1, 2, 1000}) cases.push_back(AdamWCase(count, step));
    for (double factor : {1.0, -0.3}) cases.push_back(AddSumCase(count, factor));
  }
  cases.push_back(ClipCase("above", 3, 0.5));
  cases.push_back(ClipCase("below", 0.25, 0.5));
  cases.push_back(ClipCase("off", 3, 0));
  cases.push_back(ClipCase("zero", 0, 0.5));
  return cases;
}

}  // namespace retort
