// SPDX-License-Identifier: Apache-2.0
#include "model/spec/families.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/strings.h"

namespace retort {

// Defined in families/.
extern const Family kLlama, kMistral, kMixtral, kQwen2, kQwen2Moe, kQwen3, kQwen3Moe, kGemma,
    kGemma2, kGemma3, kPhi3, kCohere, kCohere2, kFalcon, kGranite, kOlmo2, kSmolLm3, kDeepSeekV2,
    kDeepSeekV3;

namespace {

constexpr const Family* kFamilies[] = {
    &kLlama,   &kMistral, &kMixtral, &kQwen2,      &kQwen2Moe,   &kQwen3,   &kQwen3Moe,
    &kGemma,   &kGemma2,  &kGemma3,  &kPhi3,       &kCohere,     &kCohere2, &kFalcon,
    &kGranite, &kOlmo2,   &kSmolLm3, &kDeepSeekV2, &kDeepSeekV3,
};

// The part names that most families share.
constexpr PartName kCommonNames[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_qkv", "self_attn.qkv_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
    {"ffn_gate_inp", "mlp.gate"},
    {"ffn_gate_exps", "mlp.experts.#.gate_proj", "mlp.experts.gate_up_proj"},
    {"ffn_up_exps", "mlp.experts.#.up_proj", "mlp.experts.gate_up_proj"},
    {"ffn_down_exps", "mlp.experts.#.down_proj", "mlp.experts.down_proj"},
    {"ffn_gate_shexp", "mlp.shared_expert.gate_proj"},
    {"ffn_up_shexp", "mlp.shared_expert.up_proj"},
    {"ffn_down_shexp", "mlp.shared_expert.down_proj"},
    {"ffn_gate_inp_shexp", "mlp.shared_expert_gate"},
};

// The first family whose `field` equals `value`.
const Family& Find(std::string_view Family::*field, std::string_view value,
                   const std::string& where, const char* what) {
  std::vector<std::string> known;
  for (const Family* family : kFamilies) {
    if (family->*field == value) return *family;
    const std::string name(family->*field);
    if (std::find(known.begin(), known.end(), name) == known.end()) known.push_back(name);
  }
  throw InputError(where, ": ", what, " '", value,
                   "' is not supported; supported: ", Join(known, ", "));
}

// An entry of the family's own table or, if absent there, of the common one.
struct TableEntry {
  const PartName* entry;
  std::span<const PartName> table;
};
TableEntry Named(const Family& family, std::string_view part) {
  for (const std::span<const PartName> table :
       {family.names, std::span<const PartName>(kCommonNames)}) {
    for (const PartName& name : table) {
      if (name.gguf == part) return {&name, table};
    }
  }
  RETORT_CHECK(false, "family ", family.model_type, " has no name for ", part);
}

std::string InLayer(const Family& family, std::string_view name, int64_t layer) {
  return layer < 0 ? std::string(name) : Cat(family.layers, layer, ".", name);
}

}  // namespace

const Family& FamilyOfType(std::string_view model_type, const std::string& where) {
  return Find(&Family::model_type, model_type, where, "model_type");
}

const Family& FamilyOfGguf(std::string_view architecture, const std::string& where) {
  return Find(&Family::gguf_architecture, architecture, where, "architecture");
}

const Family& FamilyOf(const Architecture& architecture) {
  return FamilyOfType(architecture.family, "model");
}

std::string HuggingFaceName(const Family& family, std::string_view part, int64_t layer,
                            int64_t expert) {
  std::string name(Named(family, part).entry->hugging_face);
  if (const size_t mark = name.find('#'); mark != std::string::npos)
    name.replace(mark, 1, std::to_string(expert));
  return InLayer(family, name, layer);
}

LayerName LayerOfName(const Family& family, const std::string& name) {
  if (!StartsWith(name, family.layers)) return {-1, name};
  const size_t begin = family.layers.size(), end = std::min(name.find('.', begin), name.size());
  int64_t layer = -1;
  const auto [stop, fault] = std::from_chars(name.data() + begin, name.data() + end, layer);
  if (fault != std::errc() || stop != name.data() + end) return {-1, name};
  return {layer, name.substr(end)};
}

std::string NameInLayer(const Family& family, const LayerName& name) {
  return name.layer < 0 ? name.rest : Cat(family.layers, name.layer, name.rest);
}

std::string_view GgufPartName(const Family& family, std::string_view part) {
  const std::string_view other = Named(family, part).entry->in_gguf;
  return other.empty() ? part : other;
}

StackedPart StackedPartOf(const Family& family, std::string_view part, int64_t layer) {
  const auto [entry, table] = Named(family, part);
  if (entry->stacked.empty()) return {};
  StackedPart out{InLayer(family, entry->stacked, layer), 0, 0};
  for (const PartName& other : table) {
    if (other.stacked != entry->stacked) continue;
    if (&other < entry) ++out.index;
    ++out.count;
  }
  return out;
}

}  // namespace retort
