// SPDX-License-Identifier: Apache-2.0
// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434), computed with keys and values of all
// heads, which is also what the cache holds.
#pragma once

#include <vector>

#include "model/pass.h"

namespace retort {

class LatentAttention {
 public:
  LatentAttention(const AttentionSpec& spec, LayoutBuilder& builder);

  // x [T,C] -> [T,C], for block `layer`. Keys and values go through the pass's cache if it has one.
  Var Forward(const PassContext& run, int64_t layer, const Var& x) const;

  // Per-token cache storage: keys, then values with zeros behind them.
  std::vector<CachePlane> planes() const;

 private:
  // [T, heads * head_dim]
  Var Queries(const PassContext& run, const Var& x) const;
  struct KeysAndValues {
    Var keys, values;
  };
  KeysAndValues Expand(const PassContext& run, const Var& x) const;

  AttentionSpec spec_;
  LatentSpec latent_;
  AttentionShape shape_;
  RotaryPairs pairs_;
  LinearId q_ = kNone, q_down_ = kNone, q_up_ = kNone;  // q_, or the two through the narrow row
  LinearId kv_down_ = kNone, kv_up_ = kNone, o_ = kNone;
  NormLayer q_norm_, kv_norm_;
};

}  // namespace retort
