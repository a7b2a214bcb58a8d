// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "tests/support/stage.h"

namespace retort {
namespace {

constexpr float kEpsilon = 1e-5f;

// With x of size 0.01, epsilon is a tenth of the mean square. `gains`: gains of which rows take
// turns.
OpCase NormCase(int64_t rows, int64_t cols, bool small, int64_t gains = 1) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor x = stage->Input("x", {rows, cols}, small ? 0.01 : 1);
    const Tensor gain = stage->Input("gain", {gains, cols});
    Tensor y = stage->Output("y", {rows, cols});
    Tensor inv_rms = stage->Output("inv_rms", {rows});
    return RunOn(stage, [=, &b]() mutable { b.RmsNorm(x, gain, kEpsilon, y, inv_rms); });
  };
  return {"rms_norm",
          Cat("n", rows, "_c", cols, small ? "_small" : "", gains > 1 ? Cat("_g", gains) : ""),
          kSimple,
          Compute::kF32,
          4.0 * rows * cols,
          8.0 * rows * cols,
          prepare};
}

std::vector<float> InverseRms(const std::vector<float>& x, int64_t rows, int64_t cols) {
  std::vector<float> r;
  for (int64_t n = 0; n < rows; ++n) {
    double squares = 0;
    for (int64_t c = 0; c < cols; ++c) {
      squares += std::pow(static_cast<double>(x[static_cast<size_t>(n * cols + c)]), 2);
    }
    r.push_back(static_cast<float>(1 / std::sqrt(squares / static_cast<double>(cols) + kEpsilon)));
  }
  return r;
}

OpCase NormGradCase(int64_t rows, int64_t cols, bool with_gain, int64_t gains = 1) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const std::vector<float> values = stage->Normal(rows * cols);
    const Tensor dy = stage->Input("dy", {rows, cols});
    const Tensor x = stage->Input("x", {rows, cols}, values);
    const Tensor gain = stage->Input("gain", {gains, cols});
    const Tensor inv_rms = stage->Input("inv_rms", {rows}, InverseRms(values, rows, cols));
    Tensor dx = stage->InOut("dx", {rows, cols});
    Tensor dgain = stage->InOut("dgain", {gains, cols});
    return RunOn(stage, [=, &b]() mutable {
      b.RmsNormGrad(dy, x, gain, inv_rms, dx, with_gain ? &dgain : nullptr);
    });
  };
  return {"rms_norm_grad",
          Cat("n", rows, "_c", cols, with_gain ? "_gain" : "", gains > 1 ? Cat("_g", gains) : ""),
          kSimple,
          Compute::kF32,
          8.0 * rows * cols,
          16.0 * rows * cols,
          prepare};
}

OpCase CenterCase(int64_t rows, int64_t cols, bool accumulate) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor x = stage->Input("x", {rows, cols});
    Tensor y = accumulate ? stage->InOut("y", {rows, cols}) : stage->Output("y", {rows, cols});
    return RunOn(stage, [=, &b]() mutable { b.CenterRows(x, accumulate, y); });
  };
  return {"center_rows",
          Cat("n", rows, "_c", cols, accumulate ? "_add" : ""),
          kSimple,
          Compute::kF32,
          2.0 * rows * cols,
          8.0 * rows * cols,
          prepare};
}

// Frequencies of theta = 10000. Positions go up to where f32 angles are wrong in the third digit.
std::vector<double> Frequencies(int head_dim) {
  std::vector<double> inv_freq;
  for (int i = 0; i < head_dim / 2; ++i) inv_freq.push_back(std::pow(1e4, -2.0 * i / head_dim));
  return inv_freq;
}

OpCase TableCase(int64_t tokens, int head_dim) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    std::vector<int32_t> positions = stage->Below(tokens, 131072);
    positions.back() = 0;
    Tensor cos = stage->Output("cos", {tokens, head_dim / 2});
    Tensor sin = stage->Output("sin", {tokens, head_dim / 2});
    const Tensor places = b.Upload(positions), inv_freq = b.Upload(Frequencies(head_dim));
    return RunOn(stage, [=, &b]() mutable { b.RotaryTable(places, inv_freq, 1.25, cos, sin); });
  };
  return {"rotary_table", Cat("t", tokens, "_d", head_dim), 2e-7, Compute::kF32, 0, 0, prepare};
}

// The first `turned` values of each head are rotated.
struct Turn {
  int64_t tokens;
  int heads, head_dim, turned;
  RotaryPairs pairs = RotaryPairs::kHalves;
};

OpCase RotaryCase(const Turn& turn, bool inverse, bool in_place) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const int64_t tokens = turn.tokens, width = int64_t{turn.heads} * turn.head_dim;
    // Arbitrary factors: the kernel must not rely on cos^2 + sin^2 = 1, because they may contain an
    // amplitude.
    const Tensor cos = stage->Input("cos", {tokens, turn.turned / 2});
    const Tensor sin = stage->Input("sin", {tokens, turn.turned / 2});
    Tensor x = in_place ? stage->InOut("x", {tokens, width}) : stage->Input("x", {tokens, width});
    Tensor y = in_place ? x : stage->Output("y", {tokens, width});
    return RunOn(stage,
                 [=, &b]() mutable { b.Rotary(x, cos, sin, turn.heads, inverse, y, turn.pairs); });
  };
  const double values = 1.0 * turn.tokens * turn.heads * turn.head_dim;
  return {"rotary",
          Cat("t", turn.tokens, "_h", turn.heads, "_d", turn.head_dim,
              turn.turned < turn.head_dim ? Cat("_of", turn.turned) : "",
              turn.pairs == RotaryPairs::kNeighbours ? "_neighbours" : "",
              inverse ? "_inverse" : "", in_place ? "_in_place" : ""),
          kSimple,
          Compute::kF32,
          3 * values,
          8 * values,
          prepare};
}

}  // namespace

std::vector<OpCase> NormAndRotaryCases() {
  constexpr int64_t kSizes[][2] = {{1, 1},    {1, 7},     {2, 64},  {17, 65},
                                   {64, 172}, {129, 576}, {1, 2048}};
  std::vector<OpCase> cases;
  for (const auto& [rows, cols] : kSizes) {
    for (bool flag : {false, true}) {
      cases.push_back(NormCase(rows, cols, flag));
      cases.push_back(NormGradCase(rows, cols, flag));
      cases.push_back(CenterCase(rows, cols, flag));
    }
  }
  for (const int64_t cols : {5, 64}) {
    cases.push_back(NormCase(12, cols, false, 3));
    cases.push_back(NormGradCase(12, cols, true, 3));
  }
  struct Heads {
    int64_t tokens;
    int heads, head_dim;
  };
  for (const Heads& h : {Heads{1, 1, 8}, {2, 3, 16}, {17, 9, 64}, {129, 2, 128}, {64, 1, 2}}) {
    cases.push_back(TableCase(h.tokens, h.head_dim));
  }
  constexpr RotaryPairs kNeighbours = RotaryPairs::kNeighbours;
  for (const Turn& turn : {Turn{1, 1, 8, 8},
                           {2, 3, 16, 16},
                           {17, 9, 64, 64},
                           {129, 2, 128, 128},
                           {64, 1, 2, 2},
                           {17, 3, 96, 72},
                           {5, 2, 7, 2},
                           {33, 4, 64, 32},
                           {1, 1, 8, 8, kNeighbours},
                           {2, 3, 16, 16, kNeighbours},
                           {17, 9, 64, 64, kNeighbours},
                           {64, 1, 2, 2, kNeighbours},
                           {17, 3, 96, 70, kNeighbours},
                           {5, 2, 7, 6, kNeighbours},
                           {33, 4, 64, 20, kNeighbours}}) {
    for (bool inverse : {false, true}) {
      for (bool in_place : {false, true}) cases.push_back(RotaryCase(turn, inverse, in_place));
    }
  }
  return cases;
}

}  // namespace retort
