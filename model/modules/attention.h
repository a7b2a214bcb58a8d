// SPDX-License-Identifier: Apache-2.0
// Causal attention with grouped heads (arXiv 2305.13245): projections, norms per head, rope,
// scores.
#pragma once

#include <vector>

#include "model/pass.h"

namespace retort {

class Attention {
 public:
  Attention(const AttentionSpec& spec, LayoutBuilder& builder);

  // x [T,C] -> [T,C], for block `layer`. Keys and values go through the pass's cache if it has one.
  Var Forward(const PassContext& run, int64_t layer, const Var& x) const;

  // Per-token cache storage: keys, then values.
  std::vector<CachePlane> planes() const;

 private:
  struct Heads {
    Var q, k, v;
  };
  Heads Project(const PassContext& run, const Var& x) const;
  void Rotate(const PassContext& run, Heads& heads) const;

  AttentionSpec spec_;
  AttentionShape shape_;
  LinearId q_ = kNone, k_ = kNone, v_ = kNone, qkv_ = kNone, o_ = kNone;
  NormLayer q_norm_, k_norm_;
  RotaryPairs pairs_ = RotaryPairs::kHalves;
};

}  // namespace retort
