// SPDX-License-Identifier: Apache-2.0
// DeepSeek-V2 (arXiv 2405.04434) and V3 (arXiv 2412.19437): latent attention; in all layers but the
// first ones experts, with an MLP beside them that every token goes through. V3 scores experts by
// sigmoids and adds a bias for the choice. A GGUF keeps the matrix that makes keys and values as
// two others (HeadSplit).
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

constexpr IntRange kRanks{0, kWidths.most};

// What keys mean that a file lacks.
struct Defaults {
  int64_t max_positions, dense, shared, groups, used_groups;
  double scale;
};
constexpr Defaults kV2{
    .max_positions = 2048, .dense = 0, .shared = 2, .groups = 1, .used_groups = 1, .scale = 1};
constexpr Defaults kV3{
    .max_positions = 4096, .dense = 3, .shared = 1, .groups = 8, .used_groups = 4, .scale = 2.5};
constexpr int64_t kQueryRank = 1536;  // of both, where null is no rank

// YaRN's share of the scores' scale, which grows with the square of mscale_all_dim's part.
double ScoreShare(const ConfigReader& j, const RopeScaling& scaling) {
  if (scaling.kind == RopeScaling::Kind::kNone || scaling.factor <= 1) return 1;
  const ConfigReader rope =
      j.Section(j.Has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  const double all = rope.Number("mscale_all_dim", {0, kAmplitudes.most}, 0);
  const double grown = 0.1 * all * std::log(scaling.factor) + 1;
  return grown * grown;
}

void SetAttention(const ConfigReader& j, const RopeDefaults& rope, Architecture& a) {
  LatentSpec latent;
  latent.q_rank = j.Lacks("q_lora_rank") ? kQueryRank : j.Int("q_lora_rank", kRanks, 0);
  latent.kv_rank = j.Int("kv_lora_rank", kWidths);
  latent.rope_dim = j.Int("qk_rope_head_dim", kHeadWidths);
  latent.value_dim = j.Int("v_head_dim", kHeadWidths);
  const int64_t head_dim = j.Int("qk_nope_head_dim", kHeadWidths) + latent.rope_dim;
  a.ropes = {ReadRope(j, latent.rope_dim, rope, "full_attention")};
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

void SetExperts(const ConfigReader& j, const ExpertsSpec& experts, int64_t usual_dense,
                Architecture& a) {
  const int64_t dense = j.Int("first_k_dense_replace", {0, a.layers()}, usual_dense);
  if (j.Int("moe_layer_freq", kLayerCounts, 1) != 1)
    throw InputError(j.where(), ": 'moe_layer_freq' other than 1 is not supported");
  for (int64_t layer = dense; layer < a.layers(); ++layer) {
    MlpSpec& mlp = a.blocks[static_cast<size_t>(layer)].mlp;
    mlp.experts = experts;
    mlp.width = j.Int("moe_intermediate_size", kMlpWidths);
  }
}

ExpertsSpec ReadExperts(const ConfigReader& j, const Defaults& d) {
  ExpertsSpec experts;
  experts.count = j.Int("n_routed_experts", kExpertCounts);
  experts.used = j.Int("num_experts_per_tok", kExpertCounts);
  experts.scale = j.Number("routed_scaling_factor", kScales, d.scale);
  const int64_t shared = j.Lacks("n_shared_experts") ? d.shared : 0;  // null: none
  experts.shared_width = j.Int("n_shared_experts", {0, kExpertCounts.most}, shared) *
                         j.Int("moe_intermediate_size", kMlpWidths);
  return experts;
}

Architecture ReadDeepSeek(const ConfigReader& j, const Defaults& d) {
  RequireSilu(j);
  const RopeDefaults rope{.max_positions = d.max_positions};
  DenseConfig c = ReadDense(j, {.rope = rope});
  c.qkv_bias = c.o_bias = j.Bool("attention_bias", false);
  c.mlp_bias = j.Bool("mlp_bias", false);
  Architecture a = c;
  SetAttention(j, rope, a);
  return a;
}

Architecture ReadV2(const ConfigReader& j) {
  Architecture a = ReadDeepSeek(j, kV2);
  ExpertsSpec experts = ReadExperts(j, kV2);
  experts.renormalise = false;  // transformers reads no norm_topk_prob here
  const std::string method = j.Text("topk_method", "greedy");
  if (method == "group_limited_greedy") {
    experts.groups = j.Int("n_group", kExpertCounts);
    experts.used_groups = j.Int("topk_group", kExpertCounts);
  } else if (method != "greedy") {
    throw InputError(j.where(), ": topk_method '", method,
                     "' is not supported; supported: greedy, group_limited_greedy");
  }
  SetExperts(j, experts, kV2.dense, a);
  return a;
}

Architecture ReadV3(const ConfigReader& j) {
  Architecture a = ReadDeepSeek(j, kV3);
  ExpertsSpec experts = ReadExperts(j, kV3);
  experts.renormalise = j.Bool("norm_topk_prob", true);
  experts.score = RouteRule::Score::kSigmoid;
  experts.groups = j.Int("n_group", kExpertCounts, kV3.groups);
  experts.used_groups = j.Int("topk_group", kExpertCounts, kV3.used_groups);
  experts.group_score = RouteRule::GroupScore::kBestTwo;
  experts.bias = true;
  SetExperts(j, experts, kV3.dense, a);
  return a;
}

// The part of the scores' scale that YaRN's mscale_all_dim makes, as mscale_all_dim; 0: none.
double MscaleAllDim(const Architecture& a) {
  const RopeScaling& s = a.ropes.front().scaling;
  const AttentionSpec& attention = a.blocks.front().attention;
  if (s.kind == RopeScaling::Kind::kNone || s.factor <= 1) return 0;
  const double share = attention.scale * std::sqrt(static_cast<double>(attention.head_dim));
  return (std::sqrt(share) - 1) / (0.1 * std::log(s.factor));
}

void WriteDeepSeek(const Architecture& a, const std::string& where, Json& config) {
  const AttentionSpec& attention = a.blocks.front().attention;
  RETORT_CHECK(attention.latent, "attention of ", a.family);
  const LatentSpec& latent = *attention.latent;
  WriteDense(a, where, config);
  WriteAttentionBias(a, where, config);
  config.erase("head_dim");
  config.erase("partial_rotary_factor");
  config["mlp_bias"] = a.blocks.front().mlp.bias;
  config["q_lora_rank"] = latent.q_rank > 0 ? Json(latent.q_rank) : Json();
  config["kv_lora_rank"] = latent.kv_rank;
  config["qk_rope_head_dim"] = latent.rope_dim;
  config["qk_nope_head_dim"] = attention.head_dim - latent.rope_dim;
  config["v_head_dim"] = latent.value_dim;
  if (const double all = MscaleAllDim(a); std::abs(all) > 1e-6) {
    Json& rope = config["rope_scaling"];
    rope["mscale_all_dim"] = NumberJson(all);
    // What attention_factor says already; here it is told as DeepSeek's files do.
    const double grown = 0.1 * all * std::log(a.ropes.front().scaling.factor) + 1;
    const double mscale = (a.ropes.front().scaling.amplitude * grown - 1) /
                          (0.1 * std::log(a.ropes.front().scaling.factor));
    if (mscale > 1e-6) rope["mscale"] = NumberJson(mscale), rope.erase("attention_factor");
  }
}

void WriteExperts(const Architecture& a, Json& config) {
  int64_t dense = 0;
  while (dense < a.layers() && !a.blocks[static_cast<size_t>(dense)].mlp.experts) ++dense;
  config["first_k_dense_replace"] = dense;
  if (dense == a.layers()) return;
  const MlpSpec& mlp = a.blocks[static_cast<size_t>(dense)].mlp;
  const ExpertsSpec& experts = *mlp.experts;
  config["n_routed_experts"] = experts.count;
  config["num_experts_per_tok"] = experts.used;
  config["moe_intermediate_size"] = mlp.width;
  config["n_shared_experts"] = experts.shared_width / mlp.width;
  config["routed_scaling_factor"] = NumberJson(experts.scale);
  config["norm_topk_prob"] = experts.renormalise;
  config["n_group"] = experts.groups;
  config["topk_group"] = experts.used_groups;
}

void WriteV2(const Architecture& a, const std::string& where, Json& config) {
  WriteDeepSeek(a, where, config);
  WriteExperts(a, config);
  const bool grouped = config.contains("n_group") && config["n_group"] > 1;
  config["topk_method"] = grouped ? "group_limited_greedy" : "greedy";
}

void WriteV3(const Architecture& a, const std::string& where, Json& config) {
  WriteDeepSeek(a, where, config);
  WriteExperts(a, config);
}

// Half of a head's keys go through the narrow row, as do its values: llama.cpp's attention has one
// key head as wide as that row and the part that turns, and says the heads' own widths in other
// keys. Files of 2024 keep the matrix that makes keys and values whole and have the heads' own
// widths alone.
void ReadGgufAttention(const GgufKeys& keys, Architecture& a) {
  LatentSpec latent;
  const bool has_q = keys.HasPart(0, "attn_q.weight");
  latent.q_rank = has_q ? 0 : keys.Int("attention.q_lora_rank", kWidths);
  latent.kv_rank = keys.Int("attention.kv_lora_rank", kWidths);
  latent.rope_dim = a.ropes.front().dims;
  const auto width = [&](const char* own, const char* old) {
    return keys.Int(keys.Has(own) ? own : old, kHeadWidths);
  };
  latent.value_dim = width("attention.value_length_mla", "attention.value_length");
  const int64_t head_dim = width("attention.key_length_mla", "attention.key_length");
  RopeScaling& scaling = a.ropes.front().scaling;
  double share = 1;
  if (keys.Has("rope.scaling.yarn_log_multiplier") && scaling.kind == RopeScaling::Kind::kYarn) {
    // mscale_all_dim, to which mscale is equal: the rotated values keep their size.
    const double all = 10 * keys.Number("rope.scaling.yarn_log_multiplier", {0, kAmplitudes.most});
    share = std::pow(0.1 * all * std::log(scaling.factor) + 1, 2);
    if (all > 0) scaling.amplitude = 1;
  }
  for (BlockSpec& block : a.blocks) {
    block.attention.head_dim = head_dim;
    block.attention.kv_heads = block.attention.heads;
    block.attention.scale = share / std::sqrt(static_cast<double>(head_dim));
    block.attention.latent = latent;
  }
  a.ropes.front().pairs = RotaryPairs::kNeighbours;
}

void ReadGgufExperts(const GgufFile& file, Architecture& a) {
  const GgufKeys keys(file);
  const int64_t dense = keys.Int("leading_dense_block_count", {0, a.layers()}, 0);
  constexpr int64_t kSoftmax = 1, kSigmoid = 2;
  const int64_t gating = keys.Int("expert_gating_func", {0, kSigmoid}, kSoftmax);
  const bool third = gating == kSigmoid;
  a.family = third ? "deepseek_v3" : "deepseek_v2";
  if (dense == a.layers()) return;
  ExpertsSpec experts;
  experts.count = keys.Int("expert_count", kExpertCounts);
  experts.used = keys.Int("expert_used_count", kExpertCounts);
  experts.renormalise = file.metadata.Bool(keys.architecture() + ".expert_weights_norm", false);
  const double scale = keys.Number("expert_weights_scale", {0, kScales.most}, 1);
  experts.scale = scale == 0 ? 1 : keys.Number("expert_weights_scale", kScales, 1);
  experts.groups = std::max<int64_t>(1, keys.Int("expert_group_count", {0, kExpertCounts.most}, 1));
  if (experts.groups > 1) experts.used_groups = keys.Int("expert_group_used_count", kExpertCounts);
  experts.score = third ? RouteRule::Score::kSigmoid : RouteRule::Score::kSoftmax;
  experts.group_score = third ? RouteRule::GroupScore::kBestTwo : RouteRule::GroupScore::kBest;
  experts.bias = keys.HasPart(dense, "exp_probs_b.bias");
  const int64_t width = keys.Int("expert_feed_forward_length", kMlpWidths);
  experts.shared_width = width * keys.Int("expert_shared_count", {0, kExpertCounts.most}, 0);
  for (int64_t layer = dense; layer < a.layers(); ++layer) {
    a.blocks[static_cast<size_t>(layer)].mlp.experts = experts;
    a.blocks[static_cast<size_t>(layer)].mlp.width = width;
  }
}

Architecture ReadGguf(const GgufFile& file) {
  Architecture a = ReadDense(file);
  ReadGgufAttention(GgufKeys(file), a);
  ReadGgufExperts(file, a);
  return a;
}

// llama.cpp takes mscale and mscale_all_dim to be equal.
void WriteGgufRope(const Architecture& a, const std::string& where, GgufMetadata& m) {
  RopeSpec rope = a.ropes.front();
  const double all = MscaleAllDim(a);
  if (std::abs(all) > 1e-6) {
    if (std::abs(rope.scaling.amplitude - 1) > 1e-6)
      throw InputError(where,
                       ": YaRN whose mscale is not its mscale_all_dim cannot be written to a "
                       "GGUF; use the folder itself");
    rope.scaling.amplitude = 0.1 * std::log(rope.scaling.factor) + 1;  // stated by no key
    m.Set("deepseek2.rope.scaling.yarn_log_multiplier",
          static_cast<float>(0.1 * NumberJson(all).get<double>()));
  }
  WriteRopeScaling(rope, "deepseek2", where, m);
}

void WriteGgufExperts(const Architecture& a, GgufMetadata& m) {
  int64_t dense = 0;
  while (dense < a.layers() && !a.blocks[static_cast<size_t>(dense)].mlp.experts) ++dense;
  const auto count = [&](const char* key, int64_t value) {
    m.Set(Cat("deepseek2.", key), static_cast<uint32_t>(value));
  };
  count("leading_dense_block_count", dense);
  if (dense == a.layers()) return;
  const MlpSpec& mlp = a.blocks[static_cast<size_t>(dense)].mlp;
  const ExpertsSpec& experts = *mlp.experts;
  const bool third = experts.score == RouteRule::Score::kSigmoid;
  count("expert_feed_forward_length", mlp.width);
  count("expert_count", experts.count);
  count("expert_used_count", experts.used);
  count("expert_shared_count", experts.shared_width / mlp.width);
  m.Set("deepseek2.expert_weights_scale", static_cast<float>(experts.scale));
  if (experts.renormalise) m.Set("deepseek2.expert_weights_norm", true);
  count("expert_gating_func", third ? 2 : 1);
  if (third || experts.groups > 1) {
    count("expert_group_count", experts.groups);
    count("expert_group_used_count", experts.used_groups);
  }
}

void WriteGguf(const Architecture& a, const std::string& where, GgufMetadata& m) {
  const AttentionSpec& attention = a.blocks.front().attention;
  const LatentSpec& latent = *attention.latent;
  if (attention.qkv_bias || attention.o_bias || a.blocks.front().mlp.bias)
    throw InputError(where,
                     ": biases of matrices cannot be written to a GGUF of deepseek2; use the "
                     "folder itself");
  if (a.ropes.front().pairs != RotaryPairs::kNeighbours)
    throw InputError(where,
                     ": 'rope_interleave' false cannot be written to a GGUF of deepseek2; use "
                     "the folder itself");
  Architecture plain = a;
  plain.ropes.front().scaling = {};
  WriteDense(plain, where, m);
  WriteSizes(a, m);
  WriteGgufRope(a, where, m);
  const auto count = [&](const char* key, int64_t value) {
    m.Set(Cat("deepseek2.", key), static_cast<uint32_t>(value));
  };
  count("attention.head_count_kv", 1);
  count("attention.key_length", latent.kv_rank + latent.rope_dim);
  count("attention.value_length", latent.kv_rank);
  count("attention.key_length_mla", attention.head_dim);
  count("attention.value_length_mla", latent.value_dim);
  if (latent.q_rank > 0) count("attention.q_lora_rank", latent.q_rank);
  count("attention.kv_lora_rank", latent.kv_rank);
  WriteGgufExperts(a, m);
}

constexpr std::string_view kKeys[] = {"attention.value_length",
                                      "attention.key_length_mla",
                                      "attention.value_length_mla",
                                      "attention.q_lora_rank",
                                      "attention.kv_lora_rank",
                                      "leading_dense_block_count",
                                      "expert_count",
                                      "expert_used_count",
                                      "expert_feed_forward_length",
                                      "expert_shared_count",
                                      "expert_weights_scale",
                                      "expert_weights_norm",
                                      "expert_gating_func",
                                      "expert_group_count",
                                      "expert_group_used_count",
                                      "rope.scaling.yarn_log_multiplier"};

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
                                .write = WriteV2,
                                .read_gguf = ReadGguf,
                                .write_gguf = WriteGguf,
                                .names = kNames,
                                .gguf_keys = kKeys};
extern const Family kDeepSeekV3{.model_type = "deepseek_v3",
                                .model_class = "DeepseekV3ForCausalLM",
                                .gguf_architecture = "deepseek2",
                                .read = ReadV3,
                                .write = WriteV3,
                                .read_gguf = ReadGguf,
                                .write_gguf = WriteGguf,
                                .names = kNames,
                                .gguf_keys = kKeys};

}  // namespace retort
