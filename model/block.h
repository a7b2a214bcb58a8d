// SPDX-License-Identifier: Apache-2.0
// A transformer block: attention and an MLP (or experts) on the residual stream.
#pragma once

#include <variant>
#include <vector>

#include "model/modules/attention.h"
#include "model/modules/experts.h"
#include "model/modules/latent_attention.h"

namespace retort {

class Block {
 public:
  Block(const BlockSpec& spec, int64_t layer, LayoutBuilder& builder);

  Var Forward(const PassContext& run, const Var& x) const;  // [T,C] -> [T,C]
  std::vector<CachePlane> planes() const;

 private:
  using Mixer = std::variant<Attention, LatentAttention>;
  using FeedForward = std::variant<Mlp, Experts>;
  static Mixer MakeMixer(const AttentionSpec& spec, LayoutBuilder& builder);
  static FeedForward MakeFeed(const MlpSpec& spec, LayoutBuilder& builder);
  Var Feed(const PassContext& run, const Var& x) const;
  Var Residual(const PassContext& run, const Var& x, const Var& y,
               const NormLayer& post_norm) const;

  int64_t layer_;
  ResidualOrder order_;
  float scale_;  // of what is added to the residual stream
  NormLayer attention_norm_;
  Mixer attention_;
  NormLayer attention_post_norm_, mlp_norm_;
  FeedForward mlp_;
  NormLayer mlp_post_norm_;
};

// Fills `blocks` with the architecture's blocks in order and returns the layout that they declare.
Layout MakeModules(const Architecture& architecture, std::vector<Block>& blocks);

}  // namespace retort
