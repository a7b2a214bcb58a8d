// SPDX-License-Identifier: Apache-2.0
// A transformer block: attention and an MLP (or experts) on the residual stream.
#pragma once

#include <variant>
#include <vector>

#include "model/modules/attention.h"
#include "model/modules/experts.h"

namespace retort {

class Block {
 public:
  Block(const BlockSpec& spec, int64_t layer, LayoutBuilder& builder);

  Var Forward(const PassContext& run, const Var& x) const;  // [T,C] -> [T,C]
  std::vector<CachePlane> planes() const { return attention_.planes(); }

 private:
  using Feed = std::variant<Mlp, Experts>;
  static Feed MakeFeed(const MlpSpec& spec, LayoutBuilder& builder);

  int64_t layer_;
  GainId attention_norm_;
  Attention attention_;
  GainId attention_post_norm_, mlp_norm_;
  Feed mlp_;
  GainId mlp_post_norm_;
};

// Fills `blocks` with the architecture's blocks in order and returns the layout that they declare.
Layout MakeModules(const Architecture& architecture, std::vector<Block>& blocks);

}  // namespace retort
