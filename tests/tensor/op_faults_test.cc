// SPDX-License-Identifier: Apache-2.0
// Shows that the comparison with the reference can fail: the table's cases must detect backends
// with one deliberate fault each, of kinds that are typical of fast kernels.
#include "tests/tensor/op_faults.h"

#include <algorithm>
#include <cmath>

namespace retort {
namespace {

struct NormGradWithoutRowTerm : Reference {
  void RmsNormGrad(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& inv_rms,
                   Tensor& dx, Tensor*) override {
    for (int64_t i = 0; i < x.elements(); ++i) {
      dx.data<double>()[i] += dy.data<double>()[i] * gain.data<double>()[i % x.cols()] *
                              inv_rms.data<double>()[i / x.cols()];
    }
  }
};
struct NormGradOverwritesGain : Reference {
  void RmsNormGrad(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& inv_rms,
                   Tensor& dx, Tensor* dgain) override {
    if (dgain) Fill(*dgain, 0);
    Reference::RmsNormGrad(dy, x, gain, inv_rms, dx, dgain);
  }
};
struct NormWithoutEpsilon : Reference {
  void RmsNorm(const Tensor& x, const Tensor& gain, float, Tensor& y, Tensor& inv_rms) override {
    Reference::RmsNorm(x, gain, 0, y, inv_rms);
  }
};
struct AddWritesBeyondTheEnd : Reference {
  void Add(const Tensor& a, const Tensor& b, Tensor& out) override {
    Reference::Add(a, b, out);
    out.data<double>()[out.elements()] = 0;
  }
};
struct AddSpoilsItsInput : Reference {
  void Add(const Tensor& a, const Tensor& b, Tensor& out) override {
    Reference::Add(a, b, out);
    a.data<double>()[a.elements() - 1] += 1e-3;
  }
};
struct BiasGradLeavesOutTheTail : Reference {
  void BiasGrad(const Tensor& dy, Tensor& dbias) override {
    const double last = dbias.data<double>()[dbias.elements() - 1];
    Reference::BiasGrad(dy, dbias);
    if (dbias.elements() % 8 != 0) dbias.data<double>()[dbias.elements() - 1] = last;
  }
};
struct DropoutCountsTokensInTheBatch : Reference {
  void Dropout(const Tensor& x, const DropoutMask& mask, Tensor& y) override {
    std::vector<int32_t> token;
    for (int32_t t = 0; t < x.rows(); ++t) token.push_back(t);
    Reference::Dropout(x, {mask.rate, mask.seed, mask.row_index, Upload(token)}, y);
  }
};
struct DropoutCutsRowNumbers : Reference {
  void Dropout(const Tensor& x, const DropoutMask& mask, Tensor& y) override {
    std::vector<int64_t> rows;
    for (int64_t row : ToHost<int64_t>(mask.row_index)) rows.push_back(static_cast<int32_t>(row));
    Reference::Dropout(x, {mask.rate, mask.seed, Upload(rows), mask.row_token}, y);
  }
};
struct RotaryForwardAsItsGradient : Reference {
  void Rotary(const Tensor& x, const Tensor& cos, const Tensor& sin, int heads, bool, Tensor& y,
              RotaryPairs pairs) override {
    Reference::Rotary(x, cos, sin, heads, false, y, pairs);
  }
};
struct RotaryAnglesInFloat : Reference {
  void RotaryTable(const Tensor& positions, const Tensor& inv_freq, double amplitude, Tensor& cos,
                   Tensor& sin) override {
    const std::vector<double> exact = ToDoubles(inv_freq);
    const std::vector<float> rounded(exact.begin(), exact.end());
    const std::vector<double> frequencies(rounded.begin(), rounded.end());
    Reference::RotaryTable(positions, Upload(frequencies), amplitude, cos, sin);
  }
};
struct ScatterKeepsTheLast : Reference {
  void ScatterAddRows(const Tensor& x, const Tensor& numbers, Tensor& out) override {
    const std::vector<int32_t> rows = ToHost<int32_t>(numbers);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      Tensor to = out.RowRange(rows[i], 1);
      const std::vector<int32_t> first = {0};
      if (std::find(rows.begin(), rows.begin() + row, rows[i]) != rows.begin() + row) Fill(to, 0);
      Reference::ScatterAddRows(x.RowRange(row, 1), Upload(first), to);
    }
  }
};
struct LinearRoundsToBf16 : Reference {
  void LinearForward(const Tensor& x, const PreparedWeight& w, Tensor& y) override {
    std::vector<double> rounded = ToDoubles(x);
    for (double& v : rounded) v = ToFloat(ToBF16(static_cast<float>(v)));
    Reference::LinearForward(FromDoubles(rounded, x.shape()), w, y);
  }
};
struct LinearGradOverwrites : Reference {
  void LinearInputGrad(const Tensor& dy, const PreparedWeight& w, Tensor& dx) override {
    Fill(dx, 0);
    Reference::LinearInputGrad(dy, w, dx);
  }
};
struct AdapterGradWithoutScale : Reference {
  void LinearGrads(std::span<LinearGradient> layers, Tensor* dx, bool add) override {
    for (LinearGradient& layer : layers) layer.adapter.scale = 1;
    Reference::LinearGrads(layers, dx, add);
  }
};
// du a of every adapter into dx, of those too whose input was not x.
struct AdapterGradForgetsDropout : Reference {
  void LinearGrads(std::span<LinearGradient> layers, Tensor* dx, bool add) override {
    for (LinearGradient& layer : layers) layer.dropped = Tensor();
    Reference::LinearGrads(layers, dx, add);
  }
};
struct GemmAddsToNaN : Reference {
  void Gemm(bool ta, bool tb, float alpha, const Tensor& a, const Tensor& b, float beta,
            Tensor& c) override {
    Scale(c, beta);
    Reference::Gemm(ta, tb, alpha, a, b, 1, c);
  }
};
struct GemmWithoutAlpha : Reference {
  void Gemm(bool ta, bool tb, float, const Tensor& a, const Tensor& b, float beta,
            Tensor& c) override {
    Reference::Gemm(ta, tb, 1, a, b, beta, c);
  }
};
struct CrossEntropyWithoutScale : Reference {
  void CrossEntropy(Tensor& logits, const Tensor& targets, const Tensor& scales, float smoothing,
                    Tensor& losses) override {
    Tensor ones = scales;
    if (ones) ones = Upload(std::vector<float>(static_cast<size_t>(scales.elements()), 1));
    Reference::CrossEntropy(logits, targets, ones, smoothing, losses);
  }
};
// The spread share goes to all tokens but the target, as some define it.
struct SmoothingSparesTheTarget : Reference {
  void CrossEntropy(Tensor& logits, const Tensor& targets, const Tensor& scales, float smoothing,
                    Tensor& losses) override {
    const auto n = static_cast<float>(logits.cols());
    Reference::CrossEntropy(logits, targets, scales, n > 1 ? smoothing * n / (n - 1) : 0, losses);
  }
};
struct NoiseOfOneSign : Reference {
  void AddNoise(Tensor& x, const UniformNoise& noise) override {
    Reference::AddNoise(x, noise);
    for (int64_t i = 0; i < x.elements(); ++i) x.data<double>()[i] += 1;
  }
};
struct DistillSwapsBeta : Reference {
  void Distill(const DistillSettings& settings, const DistillTokens& tokens, bool gradient,
               Tensor& logits, Tensor& teacher) override {
    DistillSettings swapped = settings;
    swapped.beta = 1 - swapped.beta;
    Reference::Distill(swapped, tokens, gradient, logits, teacher);
  }
};
struct DistillWithSquaredTemperature : Reference {
  void Distill(const DistillSettings& settings, const DistillTokens& tokens, bool gradient,
               Tensor& logits, Tensor& teacher) override {
    std::vector<float> weights = ToHost<float>(tokens.kd_weight);
    for (float& w : weights) w *= settings.temperature * settings.temperature;
    DistillTokens squared = tokens;
    squared.kd_weight = Upload(weights);
    Reference::Distill(settings, squared, gradient, logits, teacher);
  }
};
struct DistillTopWithoutTail : Reference {
  void DistillTop(const DistillSettings& settings, const DistillTokens& tokens, bool gradient,
                  Tensor& logits, const TopOutcomes& teacher) override {
    TopOutcomes cut = teacher;
    cut.tail = Upload(std::vector<float>(static_cast<size_t>(logits.rows()), -INFINITY));
    Reference::DistillTop(settings, tokens, gradient, logits, cut);
  }
};
struct SumSquaresInFloat : Reference {
  void SumSquares(const Tensor& x, Tensor& out) override {
    float sum = 0;
    for (double v : ToDoubles(x)) sum += static_cast<float>(v * v);
    *out.data<double>() += sum;
  }
};
struct SumSquaresOverwrites : Reference {
  void SumSquares(const Tensor& x, Tensor& out) override {
    Fill(out, 0);
    Reference::SumSquares(x, out);
  }
};
struct AddSumWithoutFactor : Reference {
  void AddSum(const Tensor& x, double, Tensor& sum) override { Reference::AddSum(x, 1, sum); }
};
struct ClipWithoutRoot : Reference {
  void ClipFactor(const Tensor& sum_squares, double limit, Tensor& factor) override {
    const double sum = *sum_squares.data<double>();
    Reference::ClipFactor(Upload(std::vector<double>{sum * sum}), limit, factor);
  }
};
struct ClipRaisesSmallGradients : Reference {
  void ClipFactor(const Tensor& sum_squares, double limit, Tensor& factor) override {
    const double norm = std::sqrt(*sum_squares.data<double>());
    *factor.data<float>() = limit > 0 ? static_cast<float>(limit / (norm + 1e-6)) : 1;
  }
};
struct AdamWWithCoupledDecay : Reference {
  void AdamW(const AdamWStep& step, const Tensor& factor, Tensor& parameter, const Tensor& gradient,
             Tensor& m, Tensor& v) override {
    Tensor coupled = FromDoubles(ToDoubles(gradient), gradient.shape());
    for (int64_t i = 0; i < coupled.elements(); ++i) {
      coupled.data<double>()[i] += step.weight_decay * parameter.data<double>()[i];
    }
    AdamWStep rest = step;
    rest.weight_decay = 0;
    Reference::AdamW(rest, factor, parameter, coupled, m, v);
  }
};
// epsilon added to the uncorrected root, as if it were not scaled by sqrt(1 - beta2^t).
struct AdamWWithBareEpsilon : Reference {
  void AdamW(const AdamWStep& step, const Tensor& factor, Tensor& parameter, const Tensor& gradient,
             Tensor& m, Tensor& v) override {
    AdamWStep bare = step;
    bare.epsilon /= std::sqrt(1 - std::pow(step.beta2, static_cast<float>(step.step)));
    Reference::AdamW(bare, factor, parameter, gradient, m, v);
  }
};

// The moment that is kept also sets the step.
struct LionWithOneBeta : Reference {
  void Lion(const LionStep& step, const Tensor& factor, Tensor& parameter, const Tensor& gradient,
            Tensor& m) override {
    LionStep one = step;
    one.beta1 = one.beta2;
    Reference::Lion(one, factor, parameter, gradient, m);
  }
};
struct SgdDampsItsFirstStep : Reference {
  void Sgd(const SgdStep& step, const Tensor& factor, Tensor& parameter, const Tensor& gradient,
           Tensor& velocity) override {
    SgdStep later = step;
    later.first = false;
    Reference::Sgd(later, factor, parameter, gradient, velocity);
  }
};
struct AdafactorWithoutClip : Reference {
  void Adafactor(const AdafactorStep& step, const Tensor& factor, Tensor& parameter,
                 const Tensor& gradient, Tensor& rows, Tensor& columns) override {
    AdafactorStep open = step;
    open.clip = 1e6f;
    Reference::Adafactor(open, factor, parameter, gradient, rows, columns);
  }
};
struct BytesWithASignedSecondMoment : Reference {
  void AdamWBytes(const AdamWStep& step, const Tensor& factor, Tensor& parameter,
                  const Tensor& gradient, ByteMoment& m, ByteMoment& v) override {
    Reference::AdamWBytes(step, factor, parameter, gradient, v, m);
  }
};

struct CosineGradWithoutItsOwnDirection : Reference {
  void HiddenDistance(Tensor& y, const Tensor& target, HiddenLossKind kind, float scale,
                      Tensor& losses) override {
    const std::vector<double> before = ToDoubles(y);
    Reference::HiddenDistance(y, target, kind, scale, losses);
    if (scale == 0 || kind == HiddenLossKind::kMse) return;
    for (int64_t i = 0; i < y.elements(); ++i) {
      double yy = 0;
      for (int64_t d = i / y.cols() * y.cols(); d < (i / y.cols() + 1) * y.cols(); ++d)
        yy += before[static_cast<size_t>(d)] * before[static_cast<size_t>(d)];
      y.data<double>()[i] -=
          scale * (1 - losses.data<double>()[i / y.cols()]) * before[static_cast<size_t>(i)] / yy;
    }
  }
};
struct MseSumsItsColumns : Reference {
  void HiddenDistance(Tensor& y, const Tensor& target, HiddenLossKind kind, float scale,
                      Tensor& losses) override {
    Reference::HiddenDistance(y, target, kind, scale, losses);
    for (int64_t i = 0; i < y.rows(); ++i)
      losses.data<double>()[i] *= static_cast<double>(y.cols());
  }
};

constexpr Fault kOpFaults[] = {
    {"NormGradWithoutRowTerm", "rms_norm_grad", "n129_c576", Make<NormGradWithoutRowTerm>},
    {"NormGradOverwritesGain", "rms_norm_grad", "n129_c576_gain", Make<NormGradOverwritesGain>},
    {"NormWithoutEpsilon", "rms_norm", "n17_c65", Make<NormWithoutEpsilon>},
    {"AddWritesBeyondTheEnd", "add", "t129", Make<AddWritesBeyondTheEnd>},
    {"AddSpoilsItsInput", "add", "t129", Make<AddSpoilsItsInput>},
    {"BiasGradLeavesOutTheTail", "bias_grad", "", Make<BiasGradLeavesOutTheTail>},
    {"DropoutCountsTokensInTheBatch", "dropout", "t17", Make<DropoutCountsTokensInTheBatch>},
    {"DropoutCutsRowNumbers", "dropout", "t17", Make<DropoutCutsRowNumbers>},
    {"RotaryForwardAsItsGradient", "rotary", "t17", Make<RotaryForwardAsItsGradient>},
    {"RotaryAnglesInFloat", "rotary_table", "t17", Make<RotaryAnglesInFloat>},
    {"ScatterKeepsTheLast", "scatter_add", "n17", Make<ScatterKeepsTheLast>},
    {"LinearRoundsToBf16", "linear", "q8_0_f32_t17", Make<LinearRoundsToBf16>},
    {"LinearGradOverwrites", "linear_grad", "nf4_bf16_t17", Make<LinearGradOverwrites>},
    {"AdapterGradWithoutScale", "adapters_grad", "f32_t21_add", Make<AdapterGradWithoutScale>},
    {"AdapterGradForgetsDropout", "adapters_grad", "f32_t21_add", Make<AdapterGradForgetsDropout>},
    {"GemmAddsToNaN", "gemm", "m64", Make<GemmAddsToNaN>},
    {"GemmWithoutAlpha", "gemm", "m64", Make<GemmWithoutAlpha>},
    {"CrossEntropyWithoutScale", "cross_entropy", "n17", Make<CrossEntropyWithoutScale>},
    {"SmoothingSparesTheTarget", "cross_entropy", "n17_v512_z1_grad_smooth",
     Make<SmoothingSparesTheTarget>},
    {"NoiseOfOneSign", "add_noise", "t17", Make<NoiseOfOneSign>},
    {"DistillSwapsBeta", "distill", "jsd_n17", Make<DistillSwapsBeta>},
    {"DistillWithSquaredTemperature", "distill", "forward_n5_v105_u105",
     Make<DistillWithSquaredTemperature>},
    {"DistillTopWithoutTail", "distill_top", "forward_n17_v512_u512_z1_t10_grad_k170",
     Make<DistillTopWithoutTail>},
    {"CosineGradWithoutItsOwnDirection", "hidden_distance", "cosine_n17",
     Make<CosineGradWithoutItsOwnDirection>},
    {"MseSumsItsColumns", "hidden_distance", "mse_n17", Make<MseSumsItsColumns>},
    {"SumSquaresInFloat", "sum_squares", "n1000", Make<SumSquaresInFloat>},
    {"SumSquaresOverwrites", "sum_squares", "n65", Make<SumSquaresOverwrites>},
    {"AddSumWithoutFactor", "add_sum", "n65", Make<AddSumWithoutFactor>},
    {"ClipWithoutRoot", "clip_factor", "above", Make<ClipWithoutRoot>},
    {"ClipRaisesSmallGradients", "clip_factor", "below", Make<ClipRaisesSmallGradients>},
    {"AdamWWithCoupledDecay", "adamw", "n65", Make<AdamWWithCoupledDecay>},
    {"AdamWWithBareEpsilon", "adamw", "n65", Make<AdamWWithBareEpsilon>},
    {"LionWithOneBeta", "lion", "n65", Make<LionWithOneBeta>},
    {"SgdDampsItsFirstStep", "sgd", "n65_momentum_first", Make<SgdDampsItsFirstStep>},
    {"AdafactorWithoutClip", "adafactor", "r17_c105_clipped", Make<AdafactorWithoutClip>},
    {"BytesWithASignedSecondMoment", "adamw_bytes", "n65", Make<BytesWithASignedSecondMoment>},
};

INSTANTIATE_TEST_SUITE_P(Backends, OpFaultTest, testing::ValuesIn(kOpFaults), NameOfFault);

}  // namespace
}  // namespace retort
