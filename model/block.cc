// SPDX-License-Identifier: Apache-2.0
// The order of norms, attention and MLP on the residual stream.
#include "model/block.h"

#include "model/modules/linear.h"

namespace retort {
namespace {

GainId PostNorm(const BlockSpec& spec, const char* part, LayoutBuilder& builder) {
  return spec.order == ResidualOrder::kPrePost ? builder.AddGain(part, builder.architecture().width)
                                               : kNone;
}

// x + f(norm(x)), or with a post-norm x + norm(f(norm(x))).
template <class Function>
Var Residual(const PassContext& run, const Var& x, GainId norm, GainId post_norm,
             const Function& f) {
  const Var y = f(Norm(run, norm, x));
  return ops::Add(run.context, x, post_norm == kNone ? y : Norm(run, post_norm, y));
}

}  // namespace

Block::Block(const BlockSpec& spec, int64_t layer, LayoutBuilder& builder)
    : layer_(layer),
      attention_norm_(builder.AddGain("attn_norm", builder.architecture().width)),
      attention_(spec.attention, builder),
      attention_post_norm_(PostNorm(spec, "post_attention_norm", builder)),
      mlp_norm_(builder.AddGain("ffn_norm", builder.architecture().width)),
      mlp_(MakeFeed(spec.mlp, builder)),
      mlp_post_norm_(PostNorm(spec, "post_ffw_norm", builder)) {}

Block::Feed Block::MakeFeed(const MlpSpec& spec, LayoutBuilder& builder) {
  if (spec.experts) return Experts(spec, builder);
  return Mlp(spec, builder);
}

Var Block::Forward(const PassContext& run, const Var& x) const {
  const Var middle = Residual(run, x, attention_norm_, attention_post_norm_,
                              [&](const Var& in) { return attention_.Forward(run, layer_, in); });
  return Residual(run, middle, mlp_norm_, mlp_post_norm_, [&](const Var& in) {
    return std::visit([&](const auto& mlp) { return mlp.Forward(run, in); }, mlp_);
  });
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
  layout.final_norm = builder.AddGain("output_norm", a.width);
  layout.head = a.head.tied ? builder.AddTied("output", a.vocab, a.width, LinearUse::kHead)
                            : builder.AddLinear("output", a.vocab, a.width, LinearUse::kHead);
  return layout;
}

}  // namespace retort
