// SPDX-License-Identifier: Apache-2.0
// Qwen2 (arXiv 2407.10671): biases on q, k and v. Qwen3 (arXiv 2505.09388): instead, norms on the
// heads of q and k. Qwen3-MoE: experts in place of the MLP, in all layers or only in some.
#include <set>

#include "base/error.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

DenseConfig ReadQwen(const ConfigReader& j) {
  if (ReadActivation(j, Activation::kSilu) != Activation::kSilu)
    throw InputError(j.where(), ": hidden_act '", j.Text("hidden_act", ""),
                     "' is not supported; supported: silu");
  if (j.Bool("use_sliding_window", false))
    throw InputError(j.where(), ": 'use_sliding_window' is not supported for ",
                     j.Text("model_type", ""));
  DenseConfig c = ReadDense(j);
  RefuseSliding(j, c.layers);
  c.qkv_bias = c.o_bias = j.Bool("attention_bias", false);
  return c;
}

Architecture ReadQwen2(const ConfigReader& j) {
  DenseConfig c = ReadQwen(j);
  c.qkv_bias = true;
  return c;
}

Architecture ReadQwen3(const ConfigReader& j) {
  DenseConfig c = ReadQwen(j);
  c.qk_norm = true;
  return c;
}

Architecture ReadQwen3Moe(const ConfigReader& j) {
  Architecture a = ReadQwen3(j);
  const int64_t step = j.Int("decoder_sparse_step", kLayerCounts, 1);
  const std::vector<int64_t> listed = j.Ints("mlp_only_layers", {0, a.layers() - 1});
  const std::set<int64_t> dense(listed.begin(), listed.end());
  const ExpertsSpec experts{
      j.Int(j.Has("num_experts") ? "num_experts" : "num_local_experts", kExpertCounts),
      j.Int("num_experts_per_tok", kExpertCounts), j.Bool("norm_topk_prob", false)};
  for (int64_t layer = 0; layer < a.layers(); ++layer) {
    if ((layer + 1) % step != 0 || dense.contains(layer)) continue;
    MlpSpec& mlp = a.blocks[static_cast<size_t>(layer)].mlp;
    mlp.experts = experts;
    mlp.width = j.Int("moe_intermediate_size", kMlpWidths);
  }
  return a;
}

template <const char* kType>
Architecture ReadDenseGguf(const GgufFile& file) {
  DenseConfig c = ReadDense(file);
  c.family = kType;
  c.window = 0;  // some files have this key, but the model does not use it
  return c;
}
constexpr char kQwen2Type[] = "qwen2", kQwen3Type[] = "qwen3", kQwen3MoeType[] = "qwen3_moe";

Architecture ReadMoeGguf(const GgufFile& file) {
  const GgufKeys keys(file);
  Architecture a = ReadDenseGguf<kQwen3MoeType>(file);
  for (BlockSpec& block : a.blocks) {
    block.mlp.experts = {keys.Int("expert_count", kExpertCounts),
                         keys.Int("expert_used_count", kExpertCounts), true};
    block.mlp.width = keys.Int("expert_feed_forward_length", kMlpWidths);
  }
  return a;
}

void WriteMoeGguf(const Architecture& a, const std::string& where, GgufMetadata& m) {
  const MlpSpec& mlp = a.blocks.front().mlp;
  for (const BlockSpec& block : a.blocks) {
    if (!block.mlp.experts || !block.mlp.experts->renormalise) {
      throw InputError(
          where,
          ": dense layers between experts and norm_topk_prob false cannot be written to a GGUF of "
          "qwen3moe; use the folder itself");
    }
  }
  WriteDense(a, where, m);
  m.Set("qwen3moe.expert_count", static_cast<uint32_t>(mlp.experts->count));
  m.Set("qwen3moe.expert_used_count", static_cast<uint32_t>(mlp.experts->used));
  m.Set("qwen3moe.expert_feed_forward_length", static_cast<uint32_t>(mlp.width));
}

}  // namespace

extern const Family kQwen2{"qwen2",   "Qwen2ForCausalLM",        "qwen2",
                           ReadQwen2, ReadDenseGguf<kQwen2Type>, WriteDense};
extern const Family kQwen3{"qwen3",   "Qwen3ForCausalLM",        "qwen3",
                           ReadQwen3, ReadDenseGguf<kQwen3Type>, WriteDense};
extern const Family kQwen3Moe{"qwen3_moe",  "Qwen3MoeForCausalLM", "qwen3moe",
                              ReadQwen3Moe, ReadMoeGguf,           WriteMoeGguf};

}  // namespace retort
