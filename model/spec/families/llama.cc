// SPDX-License-Identifier: Apache-2.0
// Llama (arXiv 2302.13971, 2407.21783), Mistral (arXiv 2310.06825) and Mixtral (arXiv 2401.04088):
// one GGUF architecture, "llama". Mistral may have a sliding window; Mixtral's MLP is a mixture of
// experts.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

constexpr DenseDefaults kMistralDefaults{.kv_heads = 8, .rope = {.max_positions = 131072}};
constexpr DenseDefaults kMixtralDefaults{
    .kv_heads = 8, .norm_epsilon = 1e-5, .rope = {.base = 1e6, .max_positions = 131072}};

DenseConfig ReadBiases(const ConfigReader& j, const DenseDefaults& defaults) {
  RequireSilu(j);
  DenseConfig c = ReadDense(j, defaults);
  c.qkv_bias = c.o_bias = j.Bool("attention_bias", false);
  c.mlp_bias = j.Bool("mlp_bias", false);
  return c;
}

Architecture Read(const ConfigReader& j) {
  DenseConfig c = ReadBiases(j, {});
  c.states_head_dim = true;  // transformers does, for all but Mixtral
  RefuseSliding(j, c.layers);
  return c;
}

Architecture ReadMistral(const ConfigReader& j) {
  DenseConfig c = ReadBiases(j, kMistralDefaults);
  c.window = ReadWindow(j, 4096);
  c.states_head_dim = true;
  return c;
}

void Write(const Architecture& a, const std::string& where, Json& config) {
  WriteDense(a, where, config);
  WriteAttentionBias(a, where, config);
  config["mlp_bias"] = a.blocks.front().mlp.bias;
}

void WriteWithWindow(const Architecture& a, const std::string& where, Json& config) {
  Write(a, where, config);
  config["sliding_window"] = WindowJson(a, where);
}

void MakeExperts(const ExpertsSpec& experts, Architecture& a) {
  for (BlockSpec& block : a.blocks) block.mlp.experts = experts;
}

Architecture ReadMixtral(const ConfigReader& j) {
  DenseConfig c = ReadBiases(j, kMixtralDefaults);
  c.window = ReadWindow(j, 0);
  Architecture a = c;
  MakeExperts({j.Int("num_local_experts", kExpertCounts),
               j.Int("num_experts_per_tok", kExpertCounts), true},
              a);
  return a;
}

void WriteMixtral(const Architecture& a, const std::string& where, Json& config) {
  WriteWithWindow(a, where, config);
  if (const auto& experts = a.blocks.front().mlp.experts) {
    config["num_local_experts"] = experts->count;
    config["num_experts_per_tok"] = experts->used;
  }
}

Architecture ReadGguf(const GgufFile& file) {
  const GgufKeys keys(file);
  DenseConfig c = ReadDense(file);
  if (c.rotary_dims != c.head_dim) {
    throw InputError(keys.where(), ": llama.rope.dimension_count is ", c.rotary_dims,
                     ", which is supported only as the width of a head, ", c.head_dim);
  }
  const int64_t experts = keys.Int("expert_count", {0, kExpertCounts.most}, 0);
  c.family = experts > 0 ? "mixtral" : c.window > 0 ? "mistral" : "llama";
  Architecture a = c;
  if (experts > 0) MakeExperts({experts, keys.Int("expert_used_count", kExpertCounts), true}, a);
  return a;
}

void WriteGguf(const Architecture& a, const std::string& where, GgufMetadata& m) {
  if (a.ropes.front().dims != a.blocks.front().attention.head_dim)
    throw InputError(where,
                     ": rotary embedding of a part of each head cannot be written to a GGUF "
                     "of llama; use the folder itself");
  WriteDense(a, where, m);
  WriteSizes(a, m);
  if (const auto& experts = a.blocks.front().mlp.experts) {
    m.Set("llama.expert_count", static_cast<uint32_t>(experts->count));
    m.Set("llama.expert_used_count", static_cast<uint32_t>(experts->used));
  }
}

constexpr PartName kMixtralNames[] = {
    {"ffn_gate_inp", "block_sparse_moe.gate", "mlp.gate.weight"},
    {"ffn_gate_exps", "block_sparse_moe.experts.#.w1", "mlp.experts.gate_up_proj"},
    {"ffn_up_exps", "block_sparse_moe.experts.#.w3", "mlp.experts.gate_up_proj"},
    {"ffn_down_exps", "block_sparse_moe.experts.#.w2", "mlp.experts.down_proj"},
};

constexpr std::string_view kKeys[] = {"expert_count", "expert_used_count"};

}  // namespace

extern const Family kLlama{"llama",  "LlamaForCausalLM", "llama", Read, Write,
                           ReadGguf, WriteGguf,          {},      true, kKeys};
extern const Family kMistral{"mistral",
                             "MistralForCausalLM",
                             "llama",
                             ReadMistral,
                             WriteWithWindow,
                             ReadGguf,
                             WriteGguf,
                             {},
                             true,
                             kKeys};
extern const Family kMixtral{
    "mixtral", "MixtralForCausalLM", "llama", ReadMixtral, WriteMixtral, ReadGguf,
    WriteGguf, kMixtralNames,        true,    kKeys};

}  // namespace retort
