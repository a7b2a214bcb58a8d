// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "tests/support/stage.h"

namespace retort {
namespace {

constexpr double kRounding = 2e-7;  // one or two f32 roundings per value

std::string SizeText(int64_t rows, int64_t cols) { return Cat("t", rows, "_c", cols); }

OpCase FillCase(int64_t rows, int64_t cols) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    Tensor x = stage->Output("x", {rows, cols});
    return RunOn(stage, [=, &b]() mutable { b.Fill(x, -1.375f); });
  };
  return {"fill", SizeText(rows, cols), 0, Compute::kF32, 0, 4.0 * rows * cols, prepare};
}

OpCase AddCase(int64_t rows, int64_t cols) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor x = stage->Input("a", {rows, cols});
    const Tensor y = stage->Input("b", {rows, cols});
    Tensor out = stage->Output("out", {rows, cols});
    return RunOn(stage, [=, &b]() mutable { b.Add(x, y, out); });
  };
  return {"add",         SizeText(rows, cols), kRounding,
          Compute::kF32, 1.0 * rows * cols,    12.0 * rows * cols,
          prepare};
}

OpCase AccumulateCase(int64_t rows, int64_t cols) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor x = stage->Input("x", {rows, cols});
    Tensor sum = stage->InOut("sum", {rows, cols});
    return RunOn(stage, [=, &b]() mutable { b.Accumulate(x, sum); });
  };
  return {"accumulate",      SizeText(rows, cols), kRounding, Compute::kF32,
          1.0 * rows * cols, 12.0 * rows * cols,   prepare};
}

OpCase ScaleCase(int64_t rows, int64_t cols) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    Tensor x = stage->InOut("x", {rows, cols});
    return RunOn(stage, [=, &b]() mutable { b.Scale(x, -0.7f); });
  };
  return {"scale",           SizeText(rows, cols), kRounding, Compute::kF32,
          1.0 * rows * cols, 8.0 * rows * cols,    prepare};
}

OpCase AddBiasCase(int64_t rows, int64_t cols) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor bias = stage->Input("bias", {cols});
    Tensor y = stage->InOut("y", {rows, cols});
    return RunOn(stage, [=, &b]() mutable { b.AddBias(y, bias); });
  };
  return {"add_bias",        SizeText(rows, cols), kRounding, Compute::kF32,
          1.0 * rows * cols, 8.0 * rows * cols,    prepare};
}

OpCase BiasGradCase(int64_t rows, int64_t cols) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor dy = stage->Input("dy", {rows, cols});
    Tensor dbias = stage->InOut("dbias", {cols});
    return RunOn(stage, [=, &b]() mutable { b.BiasGrad(dy, dbias); });
  };
  return {"bias_grad",       SizeText(rows, cols), kSimple, Compute::kF32,
          1.0 * rows * cols, 4.0 * rows * cols,    prepare};
}

// Tokens of rows with different lengths, with unordered row numbers beyond 32 bits.
struct Rows {
  std::vector<int64_t> index;
  std::vector<int32_t> token;
};
Rows TokensOfRows(int64_t tokens) {
  Rows rows;
  for (int64_t t = 0; t < tokens; ++t) {
    rows.index.push_back(t < tokens / 3 ? 5'000'000'017 : t % 2);
    rows.token.push_back(static_cast<int32_t>(t < tokens / 3 ? t : 1000 + t / 2));
  }
  return rows;
}

OpCase DropoutCase(int64_t rows, int64_t cols, float rate, bool gradient) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor x = stage->Input(gradient ? "dy" : "x", {rows, cols});
    Tensor y = gradient ? stage->InOut("dx", {rows, cols}) : stage->Output("y", {rows, cols});
    const Rows where = TokensOfRows(rows);
    const DropoutMask mask{rate, 0x123456789abcdef0, b.Upload(where.index), b.Upload(where.token)};
    const auto call = [=, &b]() mutable {
      gradient ? b.DropoutGrad(x, mask, y) : b.Dropout(x, mask, y);
    };
    return RunOn(stage, call);
  };
  const int percent = static_cast<int>(rate * 100 + 0.5f);
  return {gradient ? "dropout_grad" : "dropout",
          Cat(SizeText(rows, cols), "_r", percent),
          kRounding,
          Compute::kF32,
          0,
          8.0 * rows * cols,
          prepare};
}

OpCase NoiseCase(int64_t rows, int64_t cols) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    Tensor x = stage->InOut("x", {rows, cols});
    const Rows where = TokensOfRows(rows);
    std::vector<float> amplitude(static_cast<size_t>(rows));
    for (size_t t = 0; t < amplitude.size(); ++t) amplitude[t] = static_cast<float>(1 + t % 3);
    const UniformNoise noise{0x123456789abcdef0, b.Upload(where.index), b.Upload(where.token),
                             b.Upload(amplitude)};
    return RunOn(stage, [=, &b]() mutable { b.AddNoise(x, noise); });
  };
  return {"add_noise",       SizeText(rows, cols), kRounding, Compute::kF32,
          2.0 * rows * cols, 8.0 * rows * cols,    prepare};
}

struct Gated {
  Activation activation;
  const char* name;
};
constexpr Gated kActivations[] = {{Activation::kSilu, "silu"},
                                  {Activation::kGelu, "gelu"},
                                  {Activation::kGeluTanh, "gelu_tanh"},
                                  {Activation::kRelu2, "relu2"}};

// `size` is that of the gate's values: at 40, exponentials overflow and underflow in f32.
OpCase GatedCase(int64_t rows, int64_t cols, int size, const Gated& gated) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor gate = stage->Input("gate", {rows, cols}, size);
    const Tensor up = stage->Input("up", {rows, cols});
    Tensor y = stage->Output("y", {rows, cols});
    return RunOn(stage, [=, &b]() mutable { b.GatedActivation(gated.activation, gate, up, y); });
  };
  return {"gated_activation",
          Cat(gated.name, "_", SizeText(rows, cols), "_z", size),
          kSimple,
          Compute::kF32,
          5.0 * rows * cols,
          12.0 * rows * cols,
          prepare};
}

OpCase GatedGradCase(int64_t rows, int64_t cols, int size, const Gated& gated) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const Tensor dy = stage->Input("dy", {rows, cols});
    const Tensor gate = stage->Input("gate", {rows, cols}, size);
    const Tensor up = stage->Input("up", {rows, cols});
    Tensor dgate = stage->Output("dgate", {rows, cols});
    Tensor dup = stage->Output("dup", {rows, cols});
    return RunOn(stage, [=, &b]() mutable {
      b.GatedActivationGrad(gated.activation, dy, gate, up, dgate, dup);
    });
  };
  return {"gated_activation_grad",
          Cat(gated.name, "_", SizeText(rows, cols), "_z", size),
          kSimple,
          Compute::kF32,
          12.0 * rows * cols,
          20.0 * rows * cols,
          prepare};
}

// Values of size 1 with a cap of 1.5, or of size 40 with a cap of 30; both caps have an effect.
OpCase SoftCapCase(int64_t rows, int64_t cols, bool large) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    Tensor x = stage->InOut("x", {rows, cols}, large ? 40 : 1);
    return RunOn(stage, [=, &b]() mutable { b.SoftCap(x, large ? 30 : 1.5f); });
  };
  return {"soft_cap",
          Cat(SizeText(rows, cols), large ? "_large" : ""),
          kRounding,
          Compute::kF32,
          15.0 * rows * cols,
          8.0 * rows * cols,
          prepare};
}

OpCase SoftCapGradCase(int64_t rows, int64_t cols, bool large) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const float cap = large ? 30 : 1.5f;
    std::vector<float> capped = stage->Normal(rows * cols, large ? 40 : 1);
    for (float& v : capped) v = cap * std::tanh(v / cap);
    const Tensor y = stage->Input("capped", {rows, cols}, capped);
    Tensor dx = stage->InOut("dx", {rows, cols});
    return RunOn(stage, [=, &b]() mutable { b.SoftCapGrad(y, cap, dx); });
  };
  return {"soft_cap_grad",
          Cat(SizeText(rows, cols), large ? "_large" : ""),
          kSimple,
          Compute::kF32,
          5.0 * rows * cols,
          12.0 * rows * cols,
          prepare};
}

}  // namespace

std::vector<OpCase> ElementwiseCases() {
  constexpr int64_t kSizes[][2] = {{1, 1}, {1, 7}, {2, 65}, {17, 172}, {129, 576}, {64, 64}};
  std::vector<OpCase> cases;
  for (const auto& [rows, cols] : kSizes) {
    for (const auto& make :
         {FillCase, AddCase, AccumulateCase, ScaleCase, AddBiasCase, BiasGradCase}) {
      cases.push_back(make(rows, cols));
    }
    cases.push_back(NoiseCase(rows, cols));
    for (float rate : {0.0f, 0.1f, 0.5f}) {
      for (bool gradient : {false, true}) cases.push_back(DropoutCase(rows, cols, rate, gradient));
    }
    for (const Gated& gated : kActivations) {
      for (int size : {1, 40}) {
        cases.push_back(GatedCase(rows, cols, size, gated));
        cases.push_back(GatedGradCase(rows, cols, size, gated));
      }
    }
    for (bool large : {false, true}) {
      cases.push_back(SoftCapCase(rows, cols, large));
      cases.push_back(SoftCapGradCase(rows, cols, large));
    }
  }
  return cases;
}

}  // namespace retort
