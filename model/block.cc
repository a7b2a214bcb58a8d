// SPDX-License-Identifier: Apache-2.0
// The order of norms, attention and MLP on the residual stream.
#include "model/block.h"

#include "model/modules/linear.h"

namespace retort {
namespace {

bool IsParallel(ResidualOrder order) {
  return order == ResidualOrder::kParallel || order == ResidualOrder::kParallelTwoNorms;
}

const char* AttentionNorm(const BlockSpec& spec) {
  return spec.order == ResidualOrder::kParallelTwoNorms ? "attn_norm_2" : "attn_norm";
}

NormLayer NormIf(bool wanted, const char* part, LayoutBuilder& builder) {
  return wanted ? builder.AddNorm(part, builder.architecture().width) : NormLayer();
}

NormLayer PostNorm(const BlockSpec& spec, const char* part, LayoutBuilder& builder) {
  return NormIf(spec.order == ResidualOrder::kPrePost || spec.order == ResidualOrder::kPost, part,
                builder);
}

Var NormIfPresent(const PassContext& run, const NormLayer& norm, const Var& x) {
  return norm.present() ? Norm(run, norm, x) : x;
}

}  // namespace

Block::Block(const BlockSpec& spec, int64_t layer, LayoutBuilder& builder)
    : layer_(layer),
      order_(spec.order),
      scale_(static_cast<float>(builder.architecture().residual_scale)),
      attention_norm_(NormIf(spec.order != ResidualOrder::kPost, AttentionNorm(spec), builder)),
      attention_(MakeMixer(spec.attention, builder)),
      attention_post_norm_(PostNorm(spec, "post_attention_norm", builder)),
      mlp_norm_(NormIf(spec.order != ResidualOrder::kPost && spec.order != ResidualOrder::kParallel,
                       "ffn_norm", builder)),
      mlp_(MakeFeed(spec.mlp, builder)),
      mlp_post_norm_(PostNorm(spec, "post_ffw_norm", builder)) {}

Block::Mixer Block::MakeMixer(const AttentionSpec& spec, LayoutBuilder& builder) {
  if (spec.latent) return LatentAttention(spec, builder);
  return Attention(spec, builder);
}

std::vector<CachePlane> Block::planes() const {
  return std::visit([](const auto& attention) { return attention.planes(); }, attention_);
}

Block::FeedForward Block::MakeFeed(const MlpSpec& spec, LayoutBuilder& builder) {
  if (spec.experts) return Experts(spec, builder);
  return Mlp(spec, builder);
}

Var Block::Feed(const PassContext& run, const Var& x) const {
  return std::visit([&](const auto& mlp) { return mlp.Forward(run, x); }, mlp_);
}

// x + scale * post_norm(y)
Var Block::Residual(const PassContext& run, const Var& x, const Var& y,
                    const NormLayer& post_norm) const {
  const Var normed = NormIfPresent(run, post_norm, y);
  return ops::Add(run.context, x, scale_ == 1 ? normed : ops::Scale(run.context, normed, scale_));
}

Var Block::Forward(const PassContext& run, const Var& x) const {
  const Var in = NormIfPresent(run, attention_norm_, x);
  const Var attended =
      std::visit([&](const auto& mixer) { return mixer.Forward(run, layer_, in); }, attention_);
  if (IsParallel(order_)) {
    const Var fed = Feed(run, mlp_norm_.present() ? Norm(run, mlp_norm_, x) : in);
    return Residual(run, x, ops::Add(run.context, attended, fed), {});
  }
  const Var middle = Residual(run, x, attended, attention_post_norm_);
  return Residual(run, middle, Feed(run, NormIfPresent(run, mlp_norm_, middle)), mlp_post_norm_);
}

Layout MakeModules(const Architecture& a, std::vector<Block>& blocks) {
  Layout layout;
  LayoutBuilder builder(a, layout);
  layout.embedding = builder.AddLinear("token_embd", a.vocab, a.width, LinearUse::kEmbedding);
  for (int64_t layer = 0; layer < a.layers(); ++layer) {
    builder.SetLayer(layer);
    blocks.emplace_back(a.blocks[static_cast<size_t>(layer)], layer, builder);
  }
  builder.SetLayer(-1);
  layout.final_norm = builder.AddNorm("output_norm", a.width);
  layout.head = a.head.tied ? builder.AddTied("output", a.vocab, a.width, LinearUse::kHead)
                            : builder.AddLinear("output", a.vocab, a.width, LinearUse::kHead);
  return layout;
}

}  // namespace retort
