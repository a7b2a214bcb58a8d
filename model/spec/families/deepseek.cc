// SPDX-License-Identifier: Apache-2.0
// DeepSeek-V2 (arXiv 2405.04434) and V3 (arXiv 2412.19437): latent attention; in all layers but the
// first ones experts, with an MLP beside them that every token goes through. V3 scores experts by
// sigmoids and adds a bias for the choice. Read and written as folders; a GGUF keeps the matrix
// that makes keys and values as two others and is not supported yet.
#include <cmath>

#include "base/error.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

constexpr IntRange kRanks{0, kWidths.most};

// YaRN's share of the scores' scale, which grows with the square of mscale_all_dim's part.
double ScoreShare(const ConfigReader& j, const RopeScaling& scaling) {
  if (scaling.kind == RopeScaling::Kind::kNone || scaling.factor <= 1) return 1;
  const ConfigReader rope =
      j.Section(j.Has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  const double all = rope.Number("mscale_all_dim", {0, kAmplitudes.most}, 0);
  const double grown = 0.1 * all * std::log(scaling.factor) + 1;
  return grown * grown;
}

void SetAttention(const ConfigReader& j, Architecture& a) {
  LatentSpec latent;
  latent.q_rank = j.Int("q_lora_rank", kRanks, 0);
  latent.kv_rank = j.Int("kv_lora_rank", kWidths);
  latent.rope_dim = j.Int("qk_rope_head_dim", kHeadWidths);
  latent.value_dim = j.Int("v_head_dim", kHeadWidths);
  const int64_t head_dim = j.Int("qk_nope_head_dim", kHeadWidths) + latent.rope_dim;
  a.ropes = {ReadRope(j, latent.rope_dim, 10000, "full_attention")};
  if (j.Bool("rope_interleave", true)) a.ropes.front().pairs = RotaryPairs::kNeighbours;
  for (BlockSpec& block : a.blocks) {
    AttentionSpec& attention = block.attention;
    attention.head_dim = head_dim;
    attention.kv_heads = attention.heads;
    attention.scale =
        ScoreShare(j, a.ropes.front().scaling) / std::sqrt(static_cast<double>(head_dim));
    attention.latent = latent;
  }
}

void SetExperts(const ConfigReader& j, const ExpertsSpec& experts, Architecture& a) {
  const int64_t dense = j.Int("first_k_dense_replace", {0, a.layers()}, 0);
  if (j.Int("moe_layer_freq", kLayerCounts, 1) != 1)
    throw InputError(j.where(), ": 'moe_layer_freq' other than 1 is not supported");
  for (int64_t layer = dense; layer < a.layers(); ++layer) {
    MlpSpec& mlp = a.blocks[static_cast<size_t>(layer)].mlp;
    mlp.experts = experts;
    mlp.width = j.Int("moe_intermediate_size", kMlpWidths);
  }
}

ExpertsSpec ReadExperts(const ConfigReader& j) {
  ExpertsSpec experts;
  experts.count = j.Int("n_routed_experts", kExpertCounts);
  experts.used = j.Int("num_experts_per_tok", kExpertCounts);
  experts.scale = j.Number("routed_scaling_factor", kScales, 1);
  experts.shared_width = j.Int("n_shared_experts", {0, kExpertCounts.most}, 0) *
                         j.Int("moe_intermediate_size", kMlpWidths);
  return experts;
}

Architecture ReadDeepSeek(const ConfigReader& j) {
  RequireSilu(j);
  DenseConfig c = ReadDense(j);
  c.qkv_bias = c.o_bias = j.Bool("attention_bias", false);
  c.mlp_bias = j.Bool("mlp_bias", false);
  Architecture a = c;
  SetAttention(j, a);
  return a;
}

Architecture ReadV2(const ConfigReader& j) {
  Architecture a = ReadDeepSeek(j);
  ExpertsSpec experts = ReadExperts(j);
  experts.renormalise = false;  // transformers reads no norm_topk_prob here
  const std::string method = j.Text("topk_method", "greedy");
  if (method == "group_limited_greedy") {
    experts.groups = j.Int("n_group", kExpertCounts);
    experts.used_groups = j.Int("topk_group", kExpertCounts);
  } else if (method != "greedy") {
    throw InputError(j.where(), ": topk_method '", method,
                     "' is not supported; supported: greedy, group_limited_greedy");
  }
  SetExperts(j, experts, a);
  return a;
}

Architecture ReadV3(const ConfigReader& j) {
  Architecture a = ReadDeepSeek(j);
  ExpertsSpec experts = ReadExperts(j);
  experts.renormalise = j.Bool("norm_topk_prob", true);
  experts.score = RouteRule::Score::kSigmoid;
  experts.groups = j.Int("n_group", kExpertCounts, 1);
  experts.used_groups = j.Int("topk_group", kExpertCounts, 1);
  experts.group_score = RouteRule::GroupScore::kBestTwo;
  experts.bias = true;
  SetExperts(j, experts, a);
  return a;
}

Architecture RefuseReading(const GgufFile& file) {
  throw InputError(file.tensors.where(), ": a GGUF of deepseek2 is not supported; use the folder");
}
void RefuseWriting(const Architecture&, const std::string& where, GgufMetadata&) {
  throw InputError(where,
                   ": DeepSeek's latent attention cannot be written to a GGUF yet; use the "
                   "folder itself");
}

constexpr PartName kNames[] = {
    {"attn_q_a", "self_attn.q_a_proj"},
    {"attn_q_a_norm", "self_attn.q_a_layernorm"},
    {"attn_q_b", "self_attn.q_b_proj"},
    {"attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"},
    {"attn_kv_a_norm", "self_attn.kv_a_layernorm"},
    {"attn_kv_b", "self_attn.kv_b_proj"},
    {"exp_probs_b", "mlp.gate.e_score_correction_bias"},
    {"ffn_gate_shexp", "mlp.shared_experts.gate_proj"},
    {"ffn_up_shexp", "mlp.shared_experts.up_proj"},
    {"ffn_down_shexp", "mlp.shared_experts.down_proj"},
};

}  // namespace

extern const Family kDeepSeekV2{.model_type = "deepseek_v2",
                                .model_class = "DeepseekV2ForCausalLM",
                                .gguf_architecture = "deepseek2",
                                .read = ReadV2,
                                .read_gguf = RefuseReading,
                                .write_gguf = RefuseWriting,
                                .names = kNames};
extern const Family kDeepSeekV3{.model_type = "deepseek_v3",
                                .model_class = "DeepseekV3ForCausalLM",
                                .gguf_architecture = "deepseek2",
                                .read = ReadV3,
                                .read_gguf = RefuseReading,
                                .write_gguf = RefuseWriting,
                                .names = kNames};

}  // namespace retort
