// SPDX-License-Identifier: Apache-2.0
// Qwen2 (arXiv 2407.10671): biases on q, k and v. Qwen3 (arXiv 2505.09388): instead, norms on the
// heads of q and k. Qwen2-MoE, Qwen3-MoE: experts in place of the MLP, in all layers or only in
// some; in Qwen2-MoE with a shared expert behind a gate.
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/strings.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

// `kv_heads` and `head_dim`: where the file has none; 0: as in DenseDefaults.
DenseConfig ReadQwen(const ConfigReader& j, int64_t kv_heads, int64_t head_dim = 0) {
  RequireSilu(j);
  if (j.Bool("use_sliding_window", false))
    throw InputError(j.where(), ": 'use_sliding_window' is not supported for ",
                     j.Text("model_type", ""));
  DenseConfig c =
      ReadDense(j, {.kv_heads = kv_heads, .head_dim = head_dim, .rope = {.max_positions = 32768}});
  RefuseSliding(j, c.layers);
  c.qkv_bias = c.o_bias = j.Bool("attention_bias", false);
  return c;
}

Architecture ReadQwen2(const ConfigReader& j) {
  DenseConfig c = ReadQwen(j, 32);
  c.qkv_bias = true;
  return c;
}

void WriteQwen2(const Architecture& a, const std::string& where, Json& config) {
  const AttentionSpec& attention = a.blocks.front().attention;
  if (!attention.qkv_bias || attention.o_bias)
    throw InputError(where, ": a model of qwen2 has biases on q, k and v and none on o");
  WriteDense(a, where, config);
  config["use_sliding_window"] = false;
}

Architecture ReadQwen3(const ConfigReader& j) {
  DenseConfig c = ReadQwen(j, 32, 128);
  c.qk_norm = QkNorm::kHeads;
  c.states_head_dim = true;  // as transformers does
  return c;
}

void WriteQwen3(const Architecture& a, const std::string& where, Json& config) {
  WriteDense(a, where, config);
  WriteAttentionBias(a, where, config);
  config["head_dim"] = a.blocks.front().attention.head_dim;  // 128 without the key, but for experts
  config["use_sliding_window"] = false;
}

// Experts in the layers whose number is a multiple of decoder_sparse_step, but for those listed.
void PlaceExperts(const ConfigReader& j, const ExpertsSpec& experts, Architecture& a) {
  const int64_t step = j.Int("decoder_sparse_step", kLayerCounts, 1);
  const std::vector<int64_t> listed = j.Ints("mlp_only_layers", {0, a.layers() - 1});
  const std::set<int64_t> dense(listed.begin(), listed.end());
  for (int64_t layer = 0; layer < a.layers(); ++layer) {
    if ((layer + 1) % step != 0 || dense.contains(layer)) continue;
    MlpSpec& mlp = a.blocks[static_cast<size_t>(layer)].mlp;
    mlp.experts = experts;
    mlp.width = j.Int("moe_intermediate_size", kMlpWidths);
  }
}

ExpertsSpec ReadExperts(const ConfigReader& j) {
  return {j.Int(j.Has("num_experts") ? "num_experts" : "num_local_experts", kExpertCounts),
          j.Int("num_experts_per_tok", kExpertCounts), j.Bool("norm_topk_prob", false)};
}

Architecture ReadQwen3Moe(const ConfigReader& j) {
  DenseConfig c = ReadQwen(j, 4);
  c.qk_norm = QkNorm::kHeads;
  Architecture a = c;
  PlaceExperts(j, ReadExperts(j), a);
  return a;
}

Architecture ReadQwen2Moe(const ConfigReader& j) {
  DenseConfig c = ReadQwen(j, 16);
  c.qkv_bias = j.Bool("qkv_bias", true);
  Architecture a = c;
  ExpertsSpec experts = ReadExperts(j);
  experts.shared_width = j.Int("shared_expert_intermediate_size", kMlpWidths);
  experts.shared_gate = true;
  PlaceExperts(j, experts, a);
  return a;
}

// With every dense layer in the list of exceptions.
void WriteExperts(const Architecture& a, Json& config) {
  Json dense = Json::array();
  for (int64_t layer = 0; layer < a.layers(); ++layer) {
    const MlpSpec& mlp = a.blocks[static_cast<size_t>(layer)].mlp;
    if (!mlp.experts) {
      dense.push_back(layer);
      continue;
    }
    config["num_experts"] = mlp.experts->count;
    config["num_experts_per_tok"] = mlp.experts->used;
    config["norm_topk_prob"] = mlp.experts->renormalise;
    config["moe_intermediate_size"] = mlp.width;
    if (mlp.experts->shared_width > 0)
      config["shared_expert_intermediate_size"] = mlp.experts->shared_width;
  }
  config["decoder_sparse_step"] = 1;
  config["mlp_only_layers"] = dense;
}

void WriteQwen3Moe(const Architecture& a, const std::string& where, Json& config) {
  WriteQwen3(a, where, config);
  WriteExperts(a, config);
}

void WriteQwen2Moe(const Architecture& a, const std::string& where, Json& config) {
  if (a.blocks.front().attention.o_bias)
    throw InputError(where, ": a model of qwen2_moe has no biases on o");
  WriteDense(a, where, config);
  config["qkv_bias"] = a.blocks.front().attention.qkv_bias;
  config["use_sliding_window"] = false;
  WriteExperts(a, config);
}

template <const char* kType>
Architecture ReadDenseGguf(const GgufFile& file) {
  DenseConfig c = ReadDense(file);
  c.family = kType;
  c.window = 0;  // some files have this key, but the model does not use it
  return c;
}
constexpr char kQwen2Type[] = "qwen2", kQwen2MoeType[] = "qwen2_moe", kQwen3Type[] = "qwen3",
               kQwen3MoeType[] = "qwen3_moe";

Architecture ReadMoeGguf(const GgufFile& file, Architecture a, ExpertsSpec experts) {
  const GgufKeys keys(file);
  experts.count = keys.Int("expert_count", kExpertCounts);
  experts.used = keys.Int("expert_used_count", kExpertCounts);
  for (BlockSpec& block : a.blocks) {
    block.mlp.experts = experts;
    block.mlp.width = keys.Int("expert_feed_forward_length", kMlpWidths);
  }
  return a;
}

Architecture ReadQwen3MoeGguf(const GgufFile& file) {
  return ReadMoeGguf(file, ReadDenseGguf<kQwen3MoeType>(file), {.renormalise = true});
}

Architecture ReadQwen2MoeGguf(const GgufFile& file) {
  const GgufKeys keys(file);
  Architecture a = ReadDenseGguf<kQwen2MoeType>(file);
  // The whole MLP's width where the file does not state it, as in the first of these models.
  const int64_t width = keys.Int("expert_shared_feed_forward_length", kMlpWidths, a.mlp_width());
  return ReadMoeGguf(file, a, {.renormalise = false, .shared_width = width, .shared_gate = true});
}

// The architecture implies how the chosen probabilities are weighted, and that all layers have
// experts.
void WriteMoeGguf(const Architecture& a, const std::string& where, bool renormalise,
                  GgufMetadata& m) {
  const std::string architecture(FamilyOf(a).gguf_architecture);
  const MlpSpec& mlp = a.blocks.front().mlp;
  for (const BlockSpec& block : a.blocks) {
    if (!block.mlp.experts || block.mlp.experts->renormalise != renormalise) {
      throw InputError(where, ": dense layers between experts and norm_topk_prob ",
                       renormalise ? "false" : "true", " cannot be written to a GGUF of ",
                       architecture, "; use the folder itself");
    }
  }
  WriteDense(a, where, m);
  const auto count = [&](const char* key, int64_t value) {
    m.Set(Cat(architecture, ".", key), static_cast<uint32_t>(value));
  };
  count("expert_count", mlp.experts->count);
  count("expert_used_count", mlp.experts->used);
  count("expert_feed_forward_length", mlp.width);
  if (mlp.experts->shared_width > 0)
    count("expert_shared_feed_forward_length", mlp.experts->shared_width);
}

void WriteQwen2MoeGguf(const Architecture& a, const std::string& where, GgufMetadata& m) {
  WriteMoeGguf(a, where, false, m);
}
void WriteQwen3MoeGguf(const Architecture& a, const std::string& where, GgufMetadata& m) {
  WriteMoeGguf(a, where, true, m);
}

constexpr std::string_view kMoeKeys[] = {"expert_count", "expert_used_count",
                                         "expert_feed_forward_length",
                                         "expert_shared_feed_forward_length"};

}  // namespace

extern const Family kQwen2{.model_type = "qwen2",
                           .model_class = "Qwen2ForCausalLM",
                           .gguf_architecture = "qwen2",
                           .read = ReadQwen2,
                           .write = WriteQwen2,
                           .read_gguf = ReadDenseGguf<kQwen2Type>,
                           .write_gguf = WriteDense};
extern const Family kQwen3{.model_type = "qwen3",
                           .model_class = "Qwen3ForCausalLM",
                           .gguf_architecture = "qwen3",
                           .read = ReadQwen3,
                           .write = WriteQwen3,
                           .read_gguf = ReadDenseGguf<kQwen3Type>,
                           .write_gguf = WriteDense};
extern const Family kQwen2Moe{.model_type = "qwen2_moe",
                              .model_class = "Qwen2MoeForCausalLM",
                              .gguf_architecture = "qwen2moe",
                              .read = ReadQwen2Moe,
                              .write = WriteQwen2Moe,
                              .read_gguf = ReadQwen2MoeGguf,
                              .write_gguf = WriteQwen2MoeGguf,
                              .gguf_keys = kMoeKeys};
extern const Family kQwen3Moe{.model_type = "qwen3_moe",
                              .model_class = "Qwen3MoeForCausalLM",
                              .gguf_architecture = "qwen3moe",
                              .read = ReadQwen3Moe,
                              .write = WriteQwen3Moe,
                              .read_gguf = ReadQwen3MoeGguf,
                              .write_gguf = WriteQwen3MoeGguf,
                              .gguf_keys = kMoeKeys};

}  // namespace retort
