// SPDX-License-Identifier: Apache-2.0
#include "model/modules/latent_attention.h"

#include "model/modules/linear.h"

namespace retort {
namespace {

// x [T, heads * width] as a row for each head, cut into two.
struct Halves {
  Var first, second;  // [T * heads, ...]
};
Halves SplitHeads(const PassContext& run, const Var& x, int64_t heads, int64_t first) {
  const int64_t width = x.value.cols() / heads, widths[] = {first, width - first};
  Var parts[2];
  ops::Split(run.context, ops::Reshape(run.context, x, {x.value.rows() * heads, width}), widths,
             parts);
  return {parts[0], parts[1]};
}

Var AsTokens(const PassContext& run, const Var& x, int64_t heads) {
  return ops::Reshape(run.context, x, {x.value.rows() / heads, x.value.cols() * heads});
}

}  // namespace

LatentAttention::LatentAttention(const AttentionSpec& spec, LayoutBuilder& builder)
    : spec_(spec),
      latent_(*spec.latent),
      shape_{static_cast<int>(spec.heads),      static_cast<int>(spec.heads),
             static_cast<int>(spec.head_dim),   static_cast<float>(spec.scale),
             static_cast<float>(spec.soft_cap), static_cast<int>(spec.window)},
      pairs_(builder.architecture().ropes[static_cast<size_t>(spec.rope)].pairs) {
  const int64_t width = builder.architecture().width, heads = spec.heads;
  const auto add = [&](const char* part, int64_t rows, int64_t cols, bool bias) {
    return builder.AddLinear(part, rows, cols, LinearUse::kAttentionIn, {.bias = bias});
  };
  const auto norm = [&](const char* part, int64_t size) {
    NormLayer layer = builder.AddNorm(part, size);
    layer.epsilon = static_cast<float>(latent_.norm_epsilon);
    return layer;
  };
  if (latent_.q_rank == 0) {
    q_ = add("attn_q", heads * spec.head_dim, width, false);
  } else {
    q_down_ = add("attn_q_a", latent_.q_rank, width, spec.qkv_bias);
    q_norm_ = norm("attn_q_a_norm", latent_.q_rank);
    q_up_ = add("attn_q_b", heads * spec.head_dim, latent_.q_rank, false);
  }
  kv_down_ = add("attn_kv_a_mqa", latent_.kv_rank + latent_.rope_dim, width, spec.qkv_bias);
  kv_norm_ = norm("attn_kv_a_norm", latent_.kv_rank);
  const int64_t plain = spec.head_dim - latent_.rope_dim;
  kv_up_ = builder.AddLinear("attn_kv_b", heads * (plain + latent_.value_dim), latent_.kv_rank,
                             LinearUse::kAttentionIn,
                             {.split = {heads, plain, latent_.value_dim, "attn_k_b", "attn_v_b"}});
  o_ = builder.AddLinear("attn_output", width, heads * latent_.value_dim, LinearUse::kAttentionOut,
                         {.bias = spec.o_bias});
}

Var LatentAttention::Queries(const PassContext& run, const Var& x) const {
  const Var q = q_ != kNone ? Project(run, q_, x)
                            : Project(run, q_up_, Norm(run, q_norm_, Project(run, q_down_, x)));
  auto [plain, turned] = SplitHeads(run, q, spec_.heads, spec_.head_dim - latent_.rope_dim);
  const ops::RotaryAngles& angles = run.angles[static_cast<size_t>(spec_.rope)];
  turned =
      ops::Rotary(run.context, AsTokens(run, turned, spec_.heads), angles, shape_.heads, pairs_);
  turned = ops::Reshape(run.context, turned, {plain.value.rows(), latent_.rope_dim});
  return AsTokens(run, ops::Join(run.context, {&plain, &turned}), spec_.heads);
}

LatentAttention::KeysAndValues LatentAttention::Expand(const PassContext& run, const Var& x) const {
  const int64_t tokens = x.value.rows(), heads = spec_.heads;
  const int64_t widths[] = {latent_.kv_rank, latent_.rope_dim};
  Var narrow[2];
  ops::Split(run.context, Project(run, kv_down_, x), widths, narrow);
  const ops::RotaryAngles& angles = run.angles[static_cast<size_t>(spec_.rope)];
  const Var shared = ops::Rotary(run.context, narrow[1], angles, 1, pairs_);
  const Var up = Project(run, kv_up_, Norm(run, kv_norm_, narrow[0]));
  const auto [plain, values] = SplitHeads(run, up, heads, spec_.head_dim - latent_.rope_dim);

  std::vector<int32_t> rows(
      static_cast<size_t>(tokens * heads));  // each token's key for every head
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int32_t>(i) / shape_.heads;
  const Var turned = ops::Gather(run.context, shared, run.backend().Upload(rows));
  Var padded = values;
  if (latent_.value_dim < spec_.head_dim) {
    const Var zeros{run.backend().Zeros({tokens * heads, spec_.head_dim - latent_.value_dim})};
    padded = ops::Join(run.context, {&values, &zeros});
  }
  return {AsTokens(run, ops::Join(run.context, {&plain, &turned}), heads),
          AsTokens(run, padded, heads)};
}

Var LatentAttention::Forward(const PassContext& run, int64_t layer, const Var& x) const {
  const Var q = Queries(run, x);
  auto [k, v] = Expand(run, x);
  ThroughCache(run, layer, k, v);
  Var mixed = ops::Attention(run.context, shape_, run.pass.on_device.plan, q, k, v);
  if (latent_.value_dim < spec_.head_dim) {
    mixed =
        AsTokens(run, SplitHeads(run, mixed, spec_.heads, latent_.value_dim).first, spec_.heads);
  }
  return Project(run, o_, mixed);
}

std::vector<CachePlane> LatentAttention::planes() const {
  const CachePlane plane{spec_.heads, spec_.head_dim};
  return {plane, plane};
}

}  // namespace retort
