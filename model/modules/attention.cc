// SPDX-License-Identifier: Apache-2.0
#include "model/modules/attention.h"

#include "model/modules/linear.h"

namespace retort {

Attention::Attention(const AttentionSpec& spec, LayoutBuilder& builder)
    : spec_(spec), shape_{static_cast<int>(spec.heads),      static_cast<int>(spec.kv_heads),
                          static_cast<int>(spec.head_dim),   static_cast<float>(spec.scale),
                          static_cast<float>(spec.soft_cap), static_cast<int>(spec.window)} {
  const int64_t width = builder.architecture().width, q = spec.q_width(), kv = spec.kv_width();
  const bool grouped = spec.fused == FusedQkv::kByGroup;
  const auto in = [&](const char* part, int64_t rows, int64_t rotary_heads) {
    return builder.AddLinear(part, rows, width, LinearUse::kAttentionIn,
                             {.bias = spec.qkv_bias,
                              .rotary_heads = rotary_heads,
                              .groups = grouped ? spec.kv_heads : 0,
                              .group_heads = grouped ? spec.heads / spec.kv_heads : 0});
  };
  if (spec.fused != FusedQkv::kNo) {
    qkv_ = in("attn_qkv", q + 2 * kv, 0);
  } else {
    q_ = in("attn_q", q, spec.heads), k_ = in("attn_k", kv, spec.kv_heads),
    v_ = in("attn_v", kv, 0);
  }
  o_ = builder.AddLinear("attn_output", width, q, LinearUse::kAttentionOut, {.bias = spec.o_bias});
  if (spec.rope != kNoRope)
    pairs_ = builder.architecture().ropes[static_cast<size_t>(spec.rope)].pairs;
  const auto norm = [&](const char* part, int64_t heads) {
    if (spec.qk_norm == QkNorm::kWhole) return builder.AddNorm(part, heads * spec.head_dim);
    return builder.AddNorm(part, spec.head_dim, spec.qk_norm == QkNorm::kEachHead ? heads : 1);
  };
  if (spec.qk_norm == QkNorm::kNone) return;
  q_norm_ = norm("attn_q_norm", spec.heads), k_norm_ = norm("attn_k_norm", spec.kv_heads);
}

Attention::Heads Attention::Project(const PassContext& run, const Var& x) const {
  if (spec_.fused == FusedQkv::kNo) {
    auto [q, k, v] = retort::Project(run, std::array{q_, k_, v_}, x);
    return {q, k, v};
  }
  Var qkv = retort::Project(run, qkv_, x);
  Var parts[3];
  if (spec_.fused == FusedQkv::kJoined) {
    const int64_t widths[] = {spec_.q_width(), spec_.kv_width(), spec_.kv_width()};
    ops::Split(run.context, qkv, widths, parts);
    return {parts[0], parts[1], parts[2]};
  }
  // A row for each token and group: split, the rows of q are its heads in order, and so on.
  const int64_t tokens = qkv.value.rows(), groups = spec_.kv_heads;
  const int64_t widths[] = {spec_.q_width() / groups, spec_.head_dim, spec_.head_dim};
  qkv = ops::Reshape(run.context, qkv, {tokens * groups, qkv.value.cols() / groups});
  ops::Split(run.context, qkv, widths, parts);
  const auto whole = [&](const Var& part) {
    return ops::Reshape(run.context, part, {tokens, part.value.cols() * groups});
  };
  return {whole(parts[0]), whole(parts[1]), whole(parts[2])};
}

void Attention::Rotate(const PassContext& run, Heads& heads) const {
  if (spec_.rope == kNoRope) return;
  const ops::RotaryAngles& angles = run.angles[static_cast<size_t>(spec_.rope)];
  heads.q = ops::Rotary(run.context, heads.q, angles, shape_.heads, pairs_);
  heads.k = ops::Rotary(run.context, heads.k, angles, shape_.kv_heads, pairs_);
}

Var Attention::Forward(const PassContext& run, int64_t layer, const Var& x) const {
  Heads heads = Project(run, x);
  if (q_norm_.present())
    heads.q = Norm(run, q_norm_, heads.q), heads.k = Norm(run, k_norm_, heads.k);
  Rotate(run, heads);
  auto& [q, k, v] = heads;
  ThroughCache(run, layer, k, v);
  const Var mixed = ops::Attention(run.context, shape_, run.pass.on_device.plan, q, k, v);
  return retort::Project(run, o_, mixed);
}

std::vector<CachePlane> Attention::planes() const {
  const CachePlane plane{spec_.kv_heads, spec_.head_dim};
  return {plane, plane};
}

}  // namespace retort
