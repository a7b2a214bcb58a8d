// SPDX-License-Identifier: Apache-2.0
#include "model/modules/attention.h"

#include "model/modules/linear.h"

namespace retort {

Attention::Attention(const AttentionSpec& spec, LayoutBuilder& builder)
    : spec_(spec), shape_{static_cast<int>(spec.heads),      static_cast<int>(spec.kv_heads),
                          static_cast<int>(spec.head_dim),   static_cast<float>(spec.scale),
                          static_cast<float>(spec.soft_cap), static_cast<int>(spec.window)} {
  const int64_t width = builder.architecture().width, q = spec.q_width(), kv = spec.kv_width();
  const auto in = [&](const char* part, int64_t rows, int64_t rotary_heads) {
    return builder.AddLinear(part, rows, width, LinearUse::kAttentionIn,
                             {.bias = spec.qkv_bias, .rotary_heads = rotary_heads});
  };
  if (spec.fused) {
    qkv_ = in("attn_qkv", q + 2 * kv, 0);
  } else {
    q_ = in("attn_q", q, spec.heads), k_ = in("attn_k", kv, spec.kv_heads),
    v_ = in("attn_v", kv, 0);
  }
  o_ = builder.AddLinear("attn_output", width, q, LinearUse::kAttentionOut, {.bias = spec.o_bias});
  if (!spec.qk_norm) return;
  q_norm_ = builder.AddGain("attn_q_norm", spec.head_dim);
  k_norm_ = builder.AddGain("attn_k_norm", spec.head_dim);
}

Attention::Heads Attention::Project(const PassContext& run, const Var& x) const {
  if (!spec_.fused) {
    auto [q, k, v] = retort::Project(run, std::array{q_, k_, v_}, x);
    return {q, k, v};
  }
  const int64_t widths[] = {spec_.q_width(), spec_.kv_width(), spec_.kv_width()};
  Var parts[3];
  ops::Split(run.context, retort::Project(run, qkv_, x), widths, parts);
  return {parts[0], parts[1], parts[2]};
}

Var Attention::Forward(const PassContext& run, int64_t layer, const Var& x) const {
  auto [q, k, v] = Project(run, x);
  if (spec_.qk_norm) q = Norm(run, q_norm_, q), k = Norm(run, k_norm_, k);
  const ops::RotaryAngles& angles = run.angles[static_cast<size_t>(spec_.rope)];
  q = ops::Rotary(run.context, q, angles, shape_.heads);
  k = ops::Rotary(run.context, k, angles, shape_.kv_heads);
  if (const CacheView* cache = run.pass.cache) {
    const std::vector<Tensor>& planes = cache->planes[static_cast<size_t>(layer)];
    Tensor keys = planes[0], values = planes[1];
    run.backend().StoreRows(k.value, run.pass.on_device.cache_rows, keys);
    run.backend().StoreRows(v.value, run.pass.on_device.cache_rows, values);
    k = {keys}, v = {values};
  }
  const Var mixed = ops::Attention(run.context, shape_, run.pass.on_device.plan, q, k, v);
  return retort::Project(run, o_, mixed);
}

std::vector<CachePlane> Attention::planes() const {
  const CachePlane plane{spec_.kv_heads, spec_.head_dim};
  return {plane, plane};
}

}  // namespace retort
