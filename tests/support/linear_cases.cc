// SPDX-License-Identifier: Apache-2.0
// Products with frozen weights of every format, in every compute type.
#include <algorithm>

#include "tests/support/stage.h"

namespace retort {
namespace {

struct Size {
  int64_t tokens, in, out;
};

// Whole values are exact in every compute type, so the limit is that of f32. With normal values,
// bf16 may round both factors (by at most 2^-8; root mean square 1.7e-3 each, 2.4e-3 together), and
// int8 rounds the activations (to 1/127 of the largest of 32; root mean square 4.7e-3).
double ToleranceOf(WeightFormat format, Compute compute, bool whole, bool gradient) {
  if (compute == Compute::kF32) return 2e-6;
  if (whole) return 2e-6;
  const bool bytes = TraitsOf(format).int8 || TraitsOf(format).codes;
  return compute == Compute::kInt8 && bytes && !gradient ? 7e-3 : 2.5e-3;
}

// `resident`: the weight is prepared for a use with many tokens.
OpCase LinearCase(WeightFormat format, Compute compute, const Size& size, bool whole, bool gradient,
                  bool double_quant, bool resident = false) {
  const auto [tokens, in, out] = size;
  const auto prepare = [=, tokens = tokens, in = in, out = out](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    const PreparedWeight w =
        b.Prepare(MakeWeight(*stage, format, out, in, whole, double_quant), {.lasting = resident});
    const int64_t given = gradient ? out : in;
    const Tensor x =
        stage->Input(gradient ? "dy" : "x", {tokens, given},
                     whole ? WholeValues(*stage, tokens, given) : stage->Normal(tokens * given));
    Tensor y = gradient ? stage->InOut("dx", {tokens, in}) : stage->Output("y", {tokens, out});
    return RunOn(stage, [=, &b]() mutable {
      gradient ? b.LinearInputGrad(x, w, y) : b.LinearForward(x, w, y);
    });
  };
  const std::string variant =
      Cat(TraitsOf(format).name, double_quant ? "_dq_" : "_", NameOf(compute), "_t", tokens, "_i",
          in, "_o", out, whole ? "_whole" : "", resident ? "_resident" : "");
  const BlockFormat& traits = TraitsOf(format);
  const double weight_bytes = 1.0 * in * out * traits.block_bytes / traits.block_elements;
  return {gradient ? "linear_grad" : "linear",
          variant,
          ToleranceOf(format, compute, whole, gradient),
          compute,
          2.0 * tokens * in * out,
          weight_bytes + 4.0 * tokens * (in + out),
          prepare};
}

// Several products with one x, with formats that take different code paths. The CPU has int8
// products for three of them.
OpCase ManyCase(Compute compute, int64_t tokens) {
  const auto prepare = [=](Backend& b) {
    auto stage = std::make_shared<Stage>(b);
    constexpr int64_t kIn = 192;
    const Tensor x = stage->Input("x", {tokens, kIn}, WholeValues(*stage, tokens, kIn));
    auto weights = std::make_shared<std::vector<PreparedWeight>>();
    std::vector<Tensor> outputs;
    for (const auto& [format, out] : {std::pair{WeightFormat::kQ8_0, 65},
                                      {WeightFormat::kQ4_0, 3},
                                      {FormatNamed("q4_1"), 9},
                                      {WeightFormat::kQ4_0, 130},
                                      {WeightFormat::kBF16, 7}}) {
      weights->push_back(b.Prepare(MakeWeight(*stage, format, out, kIn, true, false)));
      outputs.push_back(stage->Output(Cat("y", outputs.size()), {tokens, out}));
    }
    return RunOn(stage, [=, &b] {
      std::vector<LinearProduct> products;
      for (size_t i = 0; i < outputs.size(); ++i)
        products.push_back({&(*weights)[i], outputs[i], {}});
      b.LinearForwards(x, products);
    });
  };
  return {"linears", Cat(NameOf(compute), "_t", tokens), 2e-6,
          compute,   2.0 * tokens * 192 * 214,           4.0 * tokens * (192 + 214),
          prepare};
}

// These root mean squares do not apply to a handful of values, so such sizes are only tested with
// whole values.
bool TooFewForMeans(const Size& size) { return size.tokens * std::min(size.in, size.out) < 8; }

// Odd widths if the format allows them. Rows of block formats are whole blocks, but NF4's blocks
// continue from row to row, and the last one may end with half a byte.
std::vector<Size> SizesFor(WeightFormat format) {
  // Products of long blocks differ from those of others in their decoding alone.
  if (TraitsOf(format).row_step() == 256) return {{1, 256, 1}, {3, 512, 33}, {129, 256, 65}};
  if (const int64_t step = TraitsOf(format).row_step(); step > 1) {
    std::vector<Size> sizes = {{1, 32, 1},   {2, 64, 105},  {3, 160, 33},  {7, 224, 10},
                               {17, 96, 65}, {1, 576, 172}, {64, 160, 64}, {129, 192, 33}};
    for (Size& size : sizes) size.in = (size.in + step - 1) / step * step;
    return sizes;
  }
  return {{1, 1, 1},     {1, 7, 13},   {2, 65, 105}, {17, 172, 65},
          {1, 576, 172}, {64, 64, 64}, {129, 65, 33}};
}

}  // namespace

std::vector<OpCase> LinearCases() {
  std::vector<OpCase> cases;
  for (const WeightFormat format : AllFormats()) {
    for (Compute compute : {Compute::kF32, Compute::kBF16, Compute::kInt8}) {
      for (const Size& size : SizesFor(format)) {
        for (bool gradient : {false, true}) {
          const bool rounds = compute != Compute::kF32;
          if (!rounds || !TooFewForMeans(size)) {
            cases.push_back(LinearCase(format, compute, size, false, gradient, false));
          }
          if (!rounds || !KeepsWholeWeights(format)) continue;
          cases.push_back(LinearCase(format, compute, size, true, gradient, false));
        }
        if (compute == Compute::kInt8 && TraitsOf(format).int8) {
          cases.push_back(LinearCase(format, compute, size, true, false, false, true));
        }
      }
    }
  }
  // Heads, and matrices that are wider and deeper than the fast kernels' blocks.
  struct Large {
    WeightFormat format;
    Compute compute;
    Size size;
    bool double_quant;
  };
  for (const Large& l : {Large{WeightFormat::kNF4, Compute::kF32, {17, 576, 172}, true},
                         {WeightFormat::kNF4, Compute::kBF16, {300, 1088, 520}, true},
                         {WeightFormat::kF32, Compute::kF32, {300, 1088, 520}, false},
                         {WeightFormat::kBF16, Compute::kF32, {2, 64, 32000}, false},
                         {WeightFormat::kQ8_0, Compute::kInt8, {1, 64, 32000}, false}}) {
    for (bool gradient : {false, true}) {
      cases.push_back(LinearCase(l.format, l.compute, l.size, false, gradient, l.double_quant));
    }
  }
  for (Compute compute : {Compute::kF32, Compute::kInt8}) {
    for (int64_t tokens : {1, 3, 21}) cases.push_back(ManyCase(compute, tokens));
  }
  return cases;
}

}  // namespace retort
