// SPDX-License-Identifier: Apache-2.0
#include "model/spec/tensors.h"

#include "base/strings.h"

namespace retort {
namespace {

struct SlotNames {
  const char* module;
  const char* gguf;
};
constexpr SlotNames kSlotNames[kSlots] = {
    {"self_attn.q_proj", "attn_q"}, {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"}, {"self_attn.o_proj", "attn_output"},
    {"mlp.gate_proj", "ffn_gate"},  {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"}};

bool HasBias(const ModelConfig& c, Slot slot) {
  switch (slot) {
    case Slot::kQ:
    case Slot::kK:
    case Slot::kV:
      return c.qkv_bias;
    case Slot::kO:
      return c.o_bias;
    case Slot::kGate:
    case Slot::kUp:
    case Slot::kDown:
      return c.mlp_bias;
  }
  return false;
}

int64_t InterleavedHeads(const ModelConfig& c, Slot slot) {
  if (GgufArchitecture(c) != "llama") return 0;
  return slot == Slot::kQ ? c.heads : slot == Slot::kK ? c.kv_heads : 0;
}

}  // namespace

std::string ModuleName(int64_t layer, Slot slot) {
  return Cat("model.layers.", layer, ".", kSlotNames[static_cast<int>(slot)].module);
}

SlotShape ShapeOf(const ModelConfig& c, Slot slot) {
  switch (slot) {
    case Slot::kQ:
      return {c.attention_width(), c.width};
    case Slot::kK:
    case Slot::kV:
      return {c.kv_width(), c.width};
    case Slot::kO:
      return {c.width, c.attention_width()};
    case Slot::kGate:
    case Slot::kUp:
      return {c.ffn, c.width};
    case Slot::kDown:
      return {c.width, c.ffn};
  }
  return {};
}

std::string GgufArchitecture(const ModelConfig& c) {
  return c.family == "mistral" ? "llama" : c.family;
}

int64_t HuggingFaceRow(int64_t gguf_row, int64_t rows, int64_t heads) {
  const int64_t width = rows / heads, head = gguf_row / width, within = gguf_row % width;
  return head * width + within % 2 * (width / 2) + within / 2;
}

std::vector<TensorSpec> ModelTensors(const ModelConfig& c) {
  using Role = TensorSpec::Role;
  std::vector<TensorSpec> out;
  out.push_back(
      {"model.embed_tokens.weight", "token_embd.weight", {c.vocab, c.width}, Role::kEmbedding});
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string hf = Cat("model.layers.", i, "."), gguf = Cat("blk.", i, ".");
    const auto norm = [&](const char* name, const char* gguf_name, int64_t size, Role role) {
      out.push_back({hf + name, gguf + gguf_name, {size}, role, i});
    };
    norm("input_layernorm.weight", "attn_norm.weight", c.width, Role::kAttentionNorm);
    for (Slot slot : kAllSlots) {
      const auto [rows, cols] = ShapeOf(c, slot);
      const std::string module = ModuleName(i, slot),
                        gguf_module = gguf + kSlotNames[static_cast<int>(slot)].gguf;
      const int64_t heads = InterleavedHeads(c, slot);
      out.push_back({module + ".weight",
                     gguf_module + ".weight",
                     {rows, cols},
                     Role::kLinear,
                     i,
                     slot,
                     heads});
      if (HasBias(c, slot))
        out.push_back(
            {module + ".bias", gguf_module + ".bias", {rows}, Role::kBias, i, slot, heads});
    }
    norm("post_attention_layernorm.weight", "ffn_norm.weight", c.width, Role::kFfnNorm);
    if (!c.qk_norm) continue;
    norm("self_attn.q_norm.weight", "attn_q_norm.weight", c.head_dim, Role::kQNorm);
    norm("self_attn.k_norm.weight", "attn_k_norm.weight", c.head_dim, Role::kKNorm);
  }
  out.push_back({"model.norm.weight", "output_norm.weight", {c.width}, Role::kFinalNorm});
  if (!c.tied) out.push_back({"lm_head.weight", "output.weight", {c.vocab, c.width}, Role::kHead});
  return out;
}

}  // namespace retort
