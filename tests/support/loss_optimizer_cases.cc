// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "tests/support/stage.h"

namespace retort {
namespace {

// The exponentials of logits of size 40 overflow f32 unless the maximum is subtracted first. Each
// row has its own scale, the first one `scale`. 0: no gradient is computed.
OpCase CrossEntropyCase(int64_t rows, int64_t vocabulary, int size, float scale,
                        float smoothing = 0) {
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
    return RunOn(stage,
                 [=, &b]() mutable { b.CrossEntropy(logits, wanted, scales, smoothing, losses); });
  };
  // An f32 logit of 160 is itself only accurate to 1e-5, and so is its exponential.
  return {"cross_entropy",
          Cat("n", rows, "_v", vocabulary, "_z", size, scale == 0 ? "" : "_grad",
              smoothing == 0 ? "" : "_smooth"),
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

// A parameter and its gradient, times a factor, of `count` values.
struct OptimizerStage {
  OptimizerStage(Backend& b, Shape shape)
      : stage(std::make_shared<Stage>(b)),
        factor(stage->Singles("factor", {0.3f})),
        gradient(stage->Input("gradient", shape)),
        parameter(stage->InOut("parameter", shape)) {}
  // Squares of normal values.
  Tensor Squares(std::string name, Shape shape) {
    std::vector<float> squares = stage->Normal(shape.elements());
    for (float& v : squares) v *= v;
    return stage->InOut(std::move(name), shape, squares);
  }
  std::shared_ptr<Stage> stage;
  Tensor factor, gradient, parameter;
};

// A step as large as the parameter, and an epsilon as large as the root of v, so that every term
// has a visible effect.
OpCase AdamWCase(int64_t count, int64_t step) {
  const auto prepare = [=](Backend& b) {
    OptimizerStage s(b, {count});
    const AdamWStep options{0.5f, 0.9f, 0.999f, 0.1f, 0.2f, step};
    Tensor m = s.stage->InOut("m", {count}), v = s.Squares("v", {count});
    return RunOn(s.stage,
                 [=, &b]() mutable { b.AdamW(options, s.factor, s.parameter, s.gradient, m, v); });
  };
  return {"adamw", Cat("n", count, "_step", step), 1e-6, Compute::kF32, 12.0 * count, 28.0 * count,
          prepare};
}

// Codes that stand for every value, and scales that differ. The new codes are not compared: where
// two values are equally near, f32 and double may choose differently (tests/tensor/
// dynamic_map_test.cc compares them).
OpCase AdamWBytesCase(int64_t count, int64_t step) {
  const auto prepare = [=](Backend& b) {
    OptimizerStage s(b, {count});
    const AdamWStep options{0.5f, 0.9f, 0.999f, 0.1f, 0.2f, step};
    const auto moment = [&](int first) {
      std::vector<uint8_t> codes(static_cast<size_t>(count));
      for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(first + 7 * i);
      std::vector<float> scales(static_cast<size_t>((count + 255) / 256));
      for (size_t i = 0; i < scales.size(); ++i) scales[i] = 0.5f + static_cast<float>(i % 5);
      return ByteMoment{b.Upload(codes), b.Upload(scales)};
    };
    ByteMoment m = moment(0), v = moment(3);
    return RunOn(s.stage, [=, &b]() mutable {
      b.AdamWBytes(options, s.factor, s.parameter, s.gradient, m, v);
    });
  };
  return {"adamw_bytes", Cat("n", count, "_step", step),
          1e-6,          Compute::kF32,
          20.0 * count,  16.0 * count,
          prepare};
}

OpCase LionCase(int64_t count) {
  const auto prepare = [=](Backend& b) {
    OptimizerStage s(b, {count});
    Tensor m = s.stage->InOut("m", {count});
    return RunOn(s.stage, [=, &b]() mutable {
      b.Lion({0.5f, 0.9f, 0.99f, 0.2f}, s.factor, s.parameter, s.gradient, m);
    });
  };
  return {"lion", Cat("n", count), 1e-6, Compute::kF32, 8.0 * count, 20.0 * count, prepare};
}

OpCase SgdCase(int64_t count, float momentum, bool first) {
  const auto prepare = [=](Backend& b) {
    OptimizerStage s(b, {count});
    Tensor velocity = momentum > 0 ? s.stage->InOut("velocity", {count}) : Tensor();
    return RunOn(s.stage, [=, &b]() mutable {
      b.Sgd({0.5f, momentum, 0.2f, first}, s.factor, s.parameter, s.gradient, velocity);
    });
  };
  return {"sgd",       Cat("n", count, momentum > 0 ? "_momentum" : "", first ? "_first" : ""),
          1e-6,        Compute::kF32,
          6.0 * count, 20.0 * count,
          prepare};
}

// clip: below and above the step's size. columns 0: a vector.
OpCase AdafactorCase(int64_t rows, int64_t columns, float clip) {
  const int64_t count = columns > 0 ? rows * columns : rows;
  const auto prepare = [=](Backend& b) {
    OptimizerStage s(b, columns > 0 ? Shape{rows, columns} : Shape{rows});
    Tensor by_row = s.Squares("rows", {rows});
    Tensor by_column = columns > 0 ? s.Squares("columns", {columns}) : Tensor();
    return RunOn(s.stage, [=, &b]() mutable {
      b.Adafactor({0.5f, 0.9f, 1e-3f, clip, 0.2f}, s.factor, s.parameter, s.gradient, by_row,
                  by_column);
    });
  };
  return {"adafactor",  Cat("r", rows, "_c", columns, clip < 1 ? "_clipped" : ""),
          1e-5,         Compute::kF32,
          10.0 * count, 16.0 * count,
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
          cases.push_back(CrossEntropyCase(s.rows, s.vocabulary, size, scale, 0.2f));
        }
      }
    }
  }
  for (int64_t count : {1, 7, 65, 1000, 99072}) {
    cases.push_back(SumSquaresCase(count));
    for (int64_t step : {1, 2, 1000}) cases.push_back(AdamWCase(count, step));
    for (int64_t step : {1, 1000}) cases.push_back(AdamWBytesCase(count, step));
    cases.push_back(LionCase(count));
    cases.push_back(SgdCase(count, 0, false));
    for (bool first : {false, true}) cases.push_back(SgdCase(count, 0.9f, first));
    for (double factor : {1.0, -0.3}) cases.push_back(AddSumCase(count, factor));
  }
  for (float clip : {0.01f, 100.0f}) {
    for (const Size& s : {Size{1, 1}, {1, 7}, {7, 1}, {17, 105}, {33, 5000}})
      cases.push_back(AdafactorCase(s.rows, s.vocabulary, clip));
    for (int64_t count : {1, 65, 20000}) cases.push_back(AdafactorCase(count, 0, clip));
  }
  cases.push_back(ClipCase("above", 3, 0.5));
  cases.push_back(ClipCase("below", 0.25, 0.5));
  cases.push_back(ClipCase("off", 3, 0));
  cases.push_back(ClipCase("zero", 0, 0.5));
  return cases;
}

}  // namespace retort
