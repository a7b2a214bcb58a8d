// SPDX-License-Identifier: Apache-2.0
#include "model/spec/architecture.h"

#include <cmath>

#include "base/error.h"
#include "model/spec/numbers.h"

namespace retort {
namespace {

class Checker {
 public:
  explicit Checker(const std::string& where) : where_(where) {}

  void Range(const char* name, int64_t value, IntRange range) const {
    CheckRange(value, range, where_, name);
  }
  void Range(const char* name, double value, NumberRange range) const {
    CheckRange(value, range, where_, name);
  }
  void Check(const RopeSpec& rope) const {
    Range("rope_theta", rope.base, kRopeBases);
    Range("rotary dimensions", rope.dims, {2, kHeadWidths.most});
    if (rope.dims % 2 != 0) {
      throw InputError(where_, ": ", rope.dims,
                       " rotary dimensions (head_dim) are odd; rotary pairs need an even number");
    }
    Check(rope.scaling, rope.dims);
    for (const float factor : RopeFactors(rope)) Range("a rotary factor", factor, kRopeDivisors);
    for (const float factor : rope.scaling.long_factors)
      Range("a rotary factor", factor, kRopeDivisors);
  }
  void Check(const RopeScaling& s, int64_t dims) const {
    Range("rope_scaling: factor", s.factor, kRopeFactors);
    Range("rope_scaling: attention_factor", s.amplitude, kAmplitudes);
    const bool long_rope = s.kind == RopeScaling::Kind::kLongRope;
    if (s.kind == RopeScaling::Kind::kFactors || long_rope)
      Range("the number of rotary factors", std::ssize(s.factors), {dims / 2, dims / 2});
    if (long_rope)
      Range("the number of long rotary factors", std::ssize(s.long_factors), {dims / 2, dims / 2});
    if (long_rope || s.kind == RopeScaling::Kind::kYarn || s.kind == RopeScaling::Kind::kDynamic)
      Range("rope_scaling: original_max_position_embeddings", s.original_max_positions, kPositions);
    if (s.kind == RopeScaling::Kind::kYarn) {
      Range("rope_scaling: beta_slow", s.beta_slow, kBlendFactors);
      Range("rope_scaling: beta_fast", s.beta_fast, {s.beta_slow, kBlendFactors.most});
    }
    if (s.kind != RopeScaling::Kind::kLlama3) return;
    Range("rope_scaling: low_freq_factor", s.low_freq_factor, kBlendFactors);
    Range("rope_scaling: high_freq_factor", s.high_freq_factor, kBlendFactors);
    Range("rope_scaling: original_max_position_embeddings", s.original_max_positions, kPositions);
    if (s.high_freq_factor > s.low_freq_factor) return;
    throw InputError(where_, ": rope_scaling: high_freq_factor must be above low_freq_factor");
  }
  void Check(const AttentionSpec& a, const Architecture& model) const {
    Range("num_attention_heads", a.heads, kHeadCounts);
    Range("num_key_value_heads", a.kv_heads, {1, a.heads});
    Range("head_dim", a.head_dim, kHeadWidths);
    if (a.heads % a.kv_heads != 0) {
      throw InputError(where_, ": num_attention_heads ", a.heads,
                       " is no multiple of num_key_value_heads ", a.kv_heads);
    }
    Range("sliding_window", a.window, kWindows);
    Range("the attention's scale", a.scale, kScales);
    CheckSoftCap(a.soft_cap, where_, "attn_logit_softcapping");
    if (a.latent) {
      Range("kv_lora_rank", a.latent->kv_rank, kWidths);
      Range("q_lora_rank", a.latent->q_rank, {0, kWidths.most});
      Range("qk_rope_head_dim", a.latent->rope_dim, {2, a.head_dim - 1});
      Range("v_head_dim", a.latent->value_dim, {1, a.head_dim});
      RETORT_CHECK(a.rope != kNoRope && a.kv_heads == a.heads, "latent attention without rope");
    }
    if (a.rope == kNoRope) return;
    RETORT_CHECK(a.rope >= 0 && a.rope < std::ssize(model.ropes), "rope ", a.rope);
    Range("rotary dimensions", model.ropes[static_cast<size_t>(a.rope)].dims, {2, a.head_dim});
  }
  void Check(const MlpSpec& m) const {
    Range("intermediate_size", m.width, kMlpWidths);
    if (!m.experts) return;
    Range("the number of experts", m.experts->count, kExpertCounts);
    Range("experts used for a token", m.experts->used, {1, m.experts->count});
    Range("the shared expert's width", m.experts->shared_width, {0, kMlpWidths.most});
    Range("routed_scaling_factor", m.experts->scale, kScales);
    Range("n_group", m.experts->groups, {1, m.experts->count});
    Range("topk_group", m.experts->used_groups, {1, m.experts->groups});
    if (m.experts->count % m.experts->groups != 0 ||
        m.experts->used > m.experts->count / m.experts->groups * m.experts->used_groups)
      throw InputError(where_, ": n_group ", m.experts->groups, " and topk_group ",
                       m.experts->used_groups, " do not fit ", m.experts->count, " experts");
  }

 private:
  const std::string& where_;
};

}  // namespace

DenseConfig::operator Architecture() const {
  Architecture a;
  a.family = family;
  a.width = width, a.vocab = vocab, a.max_positions = max_positions;
  BlockSpec block;
  block.attention = {.heads = heads,
                     .kv_heads = kv_heads,
                     .head_dim = head_dim,
                     .scale = 1 / std::sqrt(static_cast<double>(head_dim)),
                     .window = window,
                     .qkv_bias = qkv_bias,
                     .o_bias = o_bias,
                     .qk_norm = qk_norm};
  block.mlp = {.width = ffn, .bias = mlp_bias};
  a.stated_width = ffn;
  a.states_head_dim = states_head_dim;
  a.blocks.assign(static_cast<size_t>(std::max<int64_t>(0, layers)), block);
  a.ropes = {{rotary_base, rotary_dims > 0 ? rotary_dims : head_dim, rotary}};
  a.norm.epsilon = norm_epsilon;
  a.head.tied = tied;
  a.bos = bos, a.ends = ends;
  return a;
}

int64_t Architecture::dense_width() const {
  for (const BlockSpec& block : blocks) {
    if (!block.mlp.experts) return block.mlp.width;
  }
  return stated_width > 0 ? stated_width : mlp_width();
}

void Validate(const Architecture& a, const std::string& where) {
  const Checker check(where);
  check.Range("num_hidden_layers", a.layers(), kLayerCounts);
  check.Range("hidden_size", a.width, kWidths);
  check.Range("vocab_size", a.vocab, kVocabSizes);
  check.Range("max_position_embeddings", a.max_positions, kPositions);
  check.Range("rms_norm_eps", a.norm.epsilon, kEpsilons);
  check.Range("the embedding's scale", a.embedding_scale, kScales);
  check.Range("the residual scale", a.residual_scale, kScales);
  check.Range("the logits' scale", a.head.scale, kScales);
  CheckSoftCap(a.head.soft_cap, where, "final_logit_softcapping");
  CheckTokenId(a.bos, a.vocab, where, "bos_token_id");
  for (const int32_t end : a.ends) CheckTokenId(end, a.vocab, where, "eos_token_id");
  for (const RopeSpec& rope : a.ropes) check.Check(rope);
  int64_t experts = 0;
  for (const BlockSpec& block : a.blocks) {
    check.Check(block.attention, a);
    check.Check(block.mlp);
    if (block.mlp.experts) experts += block.mlp.experts->count;
  }
  check.Range("the number of experts of all layers", experts, kAllExperts);
}

}  // namespace retort
