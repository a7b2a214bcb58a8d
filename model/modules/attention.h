// SPDX-License-Identifier: Apache-2.0
// Causal attention with grouped heads (arXiv 2305.13245): projections, norms on heads, rope,
// scores.
#pragma once

#include <vector>

#include "model/pass.h"

namespace retort {

class Attention {
 public:
  Attention(const AttentionSpec& spec, LayoutBuilder& builder);

  // x [T,C] -> [T,C], of block `layer`; keys and values go through the pass's cache where it has
  // one.
  Var Forward(const PassContext& run, int64_t layer, const Var& x) const;

  // What it keeps of each token in a cache: its keys, its values.
  std::vector<CachePlane> planes() const;

 private:
  struct Heads {
    Var q, k, v;
  };
  Heads Project(const PassContext& run, const Var& x) const;

  AttentionSpec spec_;
  AttentionShape shape_;
  LinearId q_ = kNone, k_ = kNone, v_ = kNone, qkv_ = kNone, o_ = kNone;
  GainId q_norm_ = kNone, k_norm_ = kNone;
};

}  // namespace retort
