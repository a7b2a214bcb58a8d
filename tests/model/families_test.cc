// SPDX-License-Identifier: Apache-2.0
// Every kind of block, forward and backward: the gradients of adapters and of all weights, in
// double, against central differences.
#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "tests/support/random_model.h"

namespace retort {
namespace {

constexpr double kLimit = 1e-6;

DenseConfig Tiny(const char* family) {
  DenseConfig c;
  c.family = family;
  c.layers = 2, c.width = 8, c.heads = 2, c.kv_heads = 1, c.head_dim = 4, c.ffn = 6, c.vocab = 11;
  c.max_positions = 64;
  return c;
}

Architecture Gemma2() {
  Architecture a = Tiny("gemma2");
  a.embedding_scale = 2.5;
  a.head.tied = true;
  a.head.soft_cap = 3;
  for (BlockSpec& block : a.blocks) {
    block.order = ResidualOrder::kPrePost;
    block.mlp.activation = Activation::kGeluTanh;
    block.attention.soft_cap = 2;
  }
  a.blocks[0].attention.window = 3;
  return a;
}

Architecture Gemma3() {
  Architecture a = Gemma2();
  a.family = "gemma3_text";
  a.head.soft_cap = 0;
  a.ropes.push_back({100, 4, {RopeScaling::Kind::kLinear, 2}});
  for (BlockSpec& block : a.blocks)
    block.attention.soft_cap = 0, block.attention.qk_norm = QkNorm::kHeads;
  a.blocks[0].attention.rope = 1;
  return a;
}

Architecture Mixtral() {
  Architecture a = Tiny("mixtral");
  for (BlockSpec& block : a.blocks) block.mlp.experts = {4, 2, true};
  return a;
}

Architecture Qwen3Moe() {  // a dense layer before one of experts, whose weights do not add up to 1
  DenseConfig c = Tiny("qwen3_moe");
  c.qk_norm = QkNorm::kHeads;
  Architecture a = c;
  a.blocks[1].mlp.experts = {3, 2, false};
  a.blocks[1].mlp.width = 5;
  return a;
}

Architecture Phi3Of(Architecture a) {
  for (BlockSpec& block : a.blocks)
    block.attention.fused = FusedQkv::kJoined, block.mlp.fused = true;
  return a;
}

Architecture Phi3() {
  Architecture a = Tiny("phi3");
  a.ropes[0].dims = 2;
  return Phi3Of(a);
}

Architecture Qwen2Moe() {  // a shared expert behind a gate, beside the chosen ones
  Architecture a = Tiny("qwen2_moe");
  a.blocks[1].mlp.experts = {3, 2, false, 7, true};
  return a;
}

Architecture Granite() {
  Architecture a = Tiny("granite");
  a.residual_scale = 0.3, a.embedding_scale = 6, a.head.scale = 0.25;
  return a;
}

Architecture SmolLm3() {  // a layer without rope
  Architecture a = Tiny("smollm3");
  a.blocks[1].attention.rope = kNoRope;
  return a;
}

Architecture Olmo2() {  // norms after, and over all heads together
  DenseConfig c = Tiny("olmo2");
  c.qk_norm = QkNorm::kWhole;
  Architecture a = c;
  for (BlockSpec& block : a.blocks) block.order = ResidualOrder::kPost;
  return a;
}

Architecture Cohere() {  // LayerNorm, attention beside MLP, gains of each head
  DenseConfig c = Tiny("cohere");
  c.qk_norm = QkNorm::kEachHead;
  Architecture a = c;
  a.norm.kind = NormSpec::Kind::kLayer;
  a.head.scale = 0.25;
  a.ropes.front().pairs = RotaryPairs::kNeighbours;
  for (BlockSpec& block : a.blocks) block.order = ResidualOrder::kParallel;
  return a;
}

Architecture Falcon() {  // biases of norms, no gate, q, k and v of each group together
  DenseConfig c = Tiny("falcon");
  c.heads = 4, c.kv_heads = 2;
  Architecture a = c;
  a.norm.kind = NormSpec::Kind::kLayer;
  a.norm.bias = true;
  for (BlockSpec& block : a.blocks) {
    block.order = ResidualOrder::kParallelTwoNorms;
    block.attention.fused = FusedQkv::kByGroup;
    block.mlp.gated = false;
    block.mlp.activation = Activation::kGelu;
  }
  a.blocks[0].order = ResidualOrder::kParallel;
  return a;
}

Architecture
DeepSeek() {  // a narrow row for queries too; a choice by groups and biases; a shared MLP
  Architecture a = Tiny("deepseek_v3");
  a.ropes.front() = {100, 2, {}, RotaryPairs::kNeighbours};
  for (BlockSpec& block : a.blocks) {
    block.attention.kv_heads = 2, block.attention.head_dim = 5;
    block.attention.latent = {.q_rank = 3, .kv_rank = 4, .rope_dim = 2, .value_dim = 4};
  }
  a.blocks[0].attention.latent->q_rank = 0;
  ExpertsSpec experts{6, 2, true, 7, false};
  experts.score = RouteRule::Score::kSigmoid, experts.scale = 2.5;
  experts.groups = 3, experts.used_groups = 2;
  experts.group_score = RouteRule::GroupScore::kBestTwo, experts.bias = true;
  a.blocks[1].mlp.experts = experts;
  return a;
}

Architecture LongRope() {  // the longer row has other frequencies than the shorter one
  Architecture a = Tiny("phi3");
  RopeScaling& s = a.ropes.front().scaling;
  s.kind = RopeScaling::Kind::kLongRope;
  s.original_max_positions = 5;
  s.factors = {1, 1.5}, s.long_factors = {2, 4};
  s.amplitude = 1.2;
  return Phi3Of(a);
}

struct Case {
  const char* name;
  Architecture (*make)();
};

class Families : public testing::TestWithParam<Case> {
 protected:
  const Architecture config_ = GetParam().make();
  const std::unique_ptr<Backend> backend_ = MakeReferenceBackend();
  RandomStream random_{MakeKey(5, RandomUse::kInit)};

  Tensor Normal(Shape shape, double mean, double deviation) {
    std::vector<double> values(static_cast<size_t>(shape.elements()));
    for (double& v : values) v = mean + deviation * random_.Normal();
    return backend_->FromDoubles(values, shape);
  }
  static Batch TwoRows() {
    Batch batch;
    batch.AddRow(std::vector<int32_t>{3, 1, 4, 1, 5, 9, 2}, 0);
    batch.AddRow(std::vector<int32_t>{2, 7, 1}, 1);
    return batch;
  }
  // The loss of some tokens, through embedding, blocks, norm and head.
  double Loss(const Model& model, const Adapter* adapter, Context& context, bool checkpoint) const {
    const Batch batch = TwoRows();
    ForwardPass pass{batch, adapter};
    pass.checkpoint = checkpoint;
    const Var hidden = model.Hidden(context, pass);
    Backend& k = context.backend;
    const Tensor rows = k.Upload(std::vector<int32_t>{1, 4, 5, 6, 9}),
                 targets = k.Upload(std::vector<int32_t>{4, 9, 2, 10, 0});
    const std::vector<double> losses =
        k.ToDoubles(model.Losses(context, adapter, hidden, rows, ops::CrossEntropy(targets, 1)));
    if (context.tape) context.tape->Run();
    double sum = 0;
    for (const double loss : losses) sum += loss;
    return sum;
  }
  void Expect(const std::vector<Parameter*>& parameters,
              const std::function<double(Context&)>& objective) {
    for (const GradientCheckResult& r : CheckGradients(*backend_, parameters, objective)) {
      if (r.norm < 1e-7) continue;  // an expert that no token takes
      EXPECT_LE(r.relative_error, kLimit) << r.name << ", gradient of norm " << r.norm;
    }
  }
};

TEST_P(Families, AdaptersGradientsAreTheirDifferences) {
  const auto model = RandomModel(config_, 3, *backend_);
  AdapterConfig some;
  some.rank = 2;
  some.target_pattern = ".*";  // experts too
  const auto adapter = Adapter::Make(some, model->layout, 5, *backend_);
  for (Parameter* p : adapter->parameters()) p->value = Normal(p->value.shape(), 0, 0.1);
  for (const bool checkpoint : {false, true})
    Expect(adapter->parameters(),
           [&](Context& c) { return Loss(*model, adapter.get(), c, checkpoint); });
}

TEST_P(Families, EveryWeightsGradientIsItsDifference) {
  Model model(config_, *backend_);
  std::vector<Parameter*> parameters;
  for (const TensorSpec& spec : model.layout.tensors) {
    const bool gain = spec.target.kind == Target::Kind::kGain;
    const Shape shape =
        spec.is_matrix() ? Shape{spec.shape[0], spec.shape[1]} : Shape{spec.elements()};
    Parameter& p = *model.parameters.emplace_back(
        std::make_unique<Parameter>(spec.name, Normal(shape, gain, 0.4)));
    model.Set(spec.target, p.var());
    parameters.push_back(&p);
  }
  Expect(parameters, [&](Context& c) { return Loss(model, nullptr, c, false); });
}

INSTANTIATE_TEST_SUITE_P(All, Families,
                         testing::Values(Case{"Gemma2", Gemma2}, Case{"Gemma3", Gemma3},
                                         Case{"Mixtral", Mixtral}, Case{"Qwen3Moe", Qwen3Moe},
                                         Case{"Phi3", Phi3}, Case{"LongRope", LongRope},
                                         Case{"Qwen2Moe", Qwen2Moe}, Case{"Granite", Granite},
                                         Case{"SmolLm3", SmolLm3}, Case{"Olmo2", Olmo2},
                                         Case{"Cohere", Cohere}, Case{"Falcon", Falcon},
                                         Case{"DeepSeek", DeepSeek}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace retort
