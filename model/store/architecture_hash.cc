// SPDX-License-Identifier: Apache-2.0
#include "model/store/fingerprint.h"

namespace retort {
namespace {

constexpr std::string_view kRule = "a1:";

// As a float: a GGUF and some writers of config.json round numbers to it.
float Rounded(double v) { return static_cast<float>(v); }

std::string TextOfRope(const RopeSpec& rope) {
  const RopeScaling& s = rope.scaling;
  std::string text =
      Cat("rope ", Rounded(rope.base), " ", rope.dims, " ", static_cast<int>(s.kind));
  if (rope.pairs == RotaryPairs::kNeighbours) text += " neighbours";
  if (s.kind == RopeScaling::Kind::kNone) return text;
  text += Cat(" ", Rounded(s.factor));
  if (s.kind == RopeScaling::Kind::kLlama3) {
    text += Cat(" ", Rounded(s.low_freq_factor), " ", Rounded(s.high_freq_factor), " ",
                s.original_max_positions);
  }
  for (const float factor : s.factors) text += Cat(" ", factor);
  for (const float factor : s.long_factors) text += Cat(" long ", factor);
  if (s.kind == RopeScaling::Kind::kYarn)
    text += Cat(" ", Rounded(s.beta_fast), " ", Rounded(s.beta_slow), " ", s.truncate);
  if (s.kind == RopeScaling::Kind::kYarn || s.by_length())
    text += Cat(" ", s.original_max_positions, " ", Rounded(s.amplitude));
  return text;
}

std::string TextOfBlock(const BlockSpec& block) {
  const AttentionSpec& a = block.attention;
  const MlpSpec& m = block.mlp;
  std::string text = Cat("block ", static_cast<int>(block.order), " ", a.heads, " ", a.kv_heads,
                         " ", a.head_dim, " ", Rounded(a.scale), " ", Rounded(a.soft_cap), " ");
  text += Cat(a.window, " ", a.rope, " ", static_cast<int>(a.qk_norm), " ", m.width, " ",
              static_cast<int>(m.activation));
  if (a.latent) {
    text += Cat(" latent ", a.latent->q_rank, " ", a.latent->kv_rank, " ", a.latent->rope_dim, " ",
                a.latent->value_dim);
  }
  if (!m.gated) text += " ungated";
  if (m.experts) {
    text += Cat(" experts ", m.experts->count, " ", m.experts->used, " ", m.experts->renormalise);
    if (m.experts->shared_width > 0)
      text += Cat(" shared ", m.experts->shared_width, " ", m.experts->shared_gate);
    if (m.experts->score == RouteRule::Score::kSigmoid || m.experts->groups > 1 ||
        m.experts->scale != 1)
      text += Cat(" scored ", static_cast<int>(m.experts->score), " ", Rounded(m.experts->scale),
                  " ", m.experts->groups, " ", m.experts->used_groups);
  }
  return text;
}

}  // namespace

std::string ArchitectureHash(const Architecture& a) {
  std::string text = Cat("model ", Rounded(a.norm.epsilon), " ", Rounded(a.embedding_scale), " ",
                         a.head.tied, " ", Rounded(a.head.soft_cap), "\n");
  if (a.norm.kind == NormSpec::Kind::kLayer) text += Cat("layer norms ", a.norm.bias, "\n");
  if (a.residual_scale != 1 || a.head.scale != 1)
    text += Cat("scales ", Rounded(a.residual_scale), " ", Rounded(a.head.scale), "\n");
  for (const RopeSpec& rope : a.ropes) text += TextOfRope(rope) + "\n";
  for (const BlockSpec& block : a.blocks) text += TextOfBlock(block) + "\n";
  return Cat(kRule, Sha256(text));
}

bool MayBeSameArchitecture(const std::string& a, const std::string& b) {
  return !a.starts_with(kRule) || !b.starts_with(kRule) || a == b;
}

}  // namespace retort
