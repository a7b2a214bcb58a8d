// SPDX-License-Identifier: Apache-2.0
// Gemma (arXiv 2403.08295): GeGLU. Gemma 2 (arXiv 2408.00118): norms before and after attention and
// MLP, GeGLU, soft caps on scores and logits, every second layer local. Gemma 3 (arXiv 2503.19786):
// norms on the heads of q and k instead of the cap on scores, five local layers per global one,
// each kind with its own rope. All scale embeddings by sqrt(width) and store gain - 1.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

// The layer counts of the largest models, which scale scores by 1 / sqrt(width / heads) instead of
// 1 / sqrt(head_dim).
constexpr int64_t kGemma2Largest = 46, kGemma3Largest = 62;

// Of as many layers the last is global, if the file says nothing else.
constexpr int64_t kGemma2Pattern = 2, kGemma3Pattern = 6;

constexpr DenseDefaults GemmaDefaults(int64_t kv_heads, int64_t max_positions, double base) {
  return {.kv_heads = kv_heads,
          .head_dim = 256,
          .tied = true,
          .rope = {.base = base, .max_positions = max_positions}};
}
constexpr DenseDefaults kDefaults1 = GemmaDefaults(16, 8192, 10000),
                        kDefaults2 = GemmaDefaults(4, 8192, 10000),
                        kDefaults3 = GemmaDefaults(4, 131072, 1e6);
constexpr RopeDefaults kLocalRope{.base = 10000, .max_positions = kDefaults3.rope.max_positions};

// Hugging Face rounds the embedding scale to its compute type; in f32 no rounding is needed.
void MakeGemma(const DenseConfig& c, Architecture& a) {
  a.embedding_scale = std::sqrt(static_cast<double>(c.width));
  a.norm.gain_offset = 1;
  for (BlockSpec& block : a.blocks) block.mlp.activation = Activation::kGeluTanh;
}

void SetPostNorms(Architecture& a) {
  for (BlockSpec& block : a.blocks) block.order = ResidualOrder::kPrePost;
}

void SetScale(double query_scalar, Architecture& a) {
  for (BlockSpec& block : a.blocks) block.attention.scale = 1 / std::sqrt(query_scalar);
}

void SetWindows(const std::vector<bool>& sliding, int64_t window, Architecture& a) {
  for (size_t i = 0; i < sliding.size(); ++i)
    a.blocks[i].attention.window = sliding[i] ? window : 0;
}

// Local layers use the second rope.
void SetRopes(const RopeSpec& global, const RopeSpec& local, Architecture& a) {
  a.ropes = {global, local};
  for (BlockSpec& block : a.blocks) block.attention.rope = block.attention.window > 0;
}

// What all three have. The first reads hidden_act "gelu" as the same, as transformers does.
Architecture ReadGemma(const ConfigReader& j, const DenseDefaults& defaults) {
  DenseConfig c = ReadDense(j, defaults);
  c.qkv_bias = c.o_bias = j.Bool("attention_bias", false);
  Architecture a = c;
  MakeGemma(c, a);
  if (j.Has("hidden_activation") &&
      ReadActivation(j, Activation::kGeluTanh) != Activation::kGeluTanh)
    throw InputError(j.where(), ": hidden_activation must be gelu_pytorch_tanh");
  if (j.Bool("use_bidirectional_attention", false))
    throw InputError(j.where(), ": 'use_bidirectional_attention' is not supported");
  return a;
}

void WriteGemma(const Architecture& a, const std::string& where, Json& config) {
  WriteDense(a, where, config);
  WriteAttentionBias(a, where, config);
  config["head_dim"] = a.blocks.front().attention.head_dim;  // 256 without the key
  for (const char* key : {"hidden_act", "hidden_activation"}) config[key] = "gelu_pytorch_tanh";
}

// A cap that null takes away.
double ReadCap(const ConfigReader& j, const char* key, double absent) {
  return j.Lacks(key) ? absent : j.SoftCap(key, 0);
}

struct Caps {
  double scores, logits;
};

Architecture Read(const ConfigReader& j, const DenseDefaults& defaults, int64_t pattern,
                  Caps caps) {
  Architecture a = ReadGemma(j, defaults);
  SetPostNorms(a);
  SetScale(j.Number("query_pre_attn_scalar", kScales, 256), a);
  SetWindows(ReadSliding(j, a.layers(), pattern), ReadWindow(j, 4096), a);
  a.head.soft_cap = ReadCap(j, "final_logit_softcapping", caps.logits);
  for (BlockSpec& block : a.blocks)
    block.attention.soft_cap = ReadCap(j, "attn_logit_softcapping", caps.scores);
  return a;
}

void Write(const Architecture& a, const std::string& where, Json& config) {
  WriteGemma(a, where, config);
  const AttentionSpec& attention = a.blocks.front().attention;
  config["query_pre_attn_scalar"] = IntegerOrNumberJson(1 / (attention.scale * attention.scale));
  config["sliding_window"] = WindowJson(a, where);
  config["layer_types"] = LayerTypesJson(a);
  config["final_logit_softcapping"] = SoftCapJson(a.head.soft_cap);
  config["attn_logit_softcapping"] = SoftCapJson(attention.soft_cap);
}

Architecture ReadGemma1(const ConfigReader& j) { return ReadGemma(j, kDefaults1); }

Architecture ReadGemma2(const ConfigReader& j) {
  return Read(j, kDefaults2, kGemma2Pattern, {.scores = 50, .logits = 30});
}

Architecture ReadGemma3(const ConfigReader& j) {
  const int64_t pattern = j.Int("sliding_window_pattern", kPatterns, kGemma3Pattern);
  Architecture a = Read(j, kDefaults3, pattern, {.scores = 0, .logits = 0});
  for (BlockSpec& block : a.blocks) block.attention.qk_norm = QkNorm::kHeads;
  const int64_t dims = a.blocks.front().attention.head_dim;
  RopeDefaults local = kLocalRope;
  local.base = j.Number("rope_local_base_freq", kRopeBases, local.base);
  RopeSpec sliding{local.base, a.ropes.front().dims, {}};  // older files scale only the global rope
  if (j.Has("rope_parameters")) sliding = ReadRope(j, dims, local, "sliding_attention");
  SetRopes(a.ropes.front(), sliding, a);
  return a;
}

void WriteGemma3(const Architecture& a, const std::string& where, Json& config) {
  const RopeSpec& local = a.ropes.back();
  if (local.scaling.kind != RopeScaling::Kind::kNone)
    throw InputError(where, ": a scaled local rope cannot be said by rope_local_base_freq");
  Write(a, where, config);
  config["rope_local_base_freq"] = NumberJson(local.base);
}

Architecture ReadGguf1(const GgufFile& file) {
  DenseConfig c = ReadDense(file);
  c.family = "gemma";
  Architecture a = c;
  MakeGemma(c, a);
  return a;
}

// query_pre_attn_scalar is not in a GGUF; it follows from the model's size.
double QueryScalar(const DenseConfig& c, int64_t largest) {
  return static_cast<double>(c.layers == largest ? c.width / std::max<int64_t>(1, c.heads)
                                                 : c.head_dim);
}

Architecture ReadGguf(const GgufFile& file, const char* family, int64_t largest,
                      int64_t usual_pattern) {
  const GgufKeys keys(file);
  DenseConfig c = ReadDense(file);
  c.family = family;
  Architecture a = c;
  MakeGemma(c, a);
  SetPostNorms(a);
  SetScale(QueryScalar(c, largest), a);
  SetWindows(ReadSlidingPattern(keys, a.layers(), usual_pattern), c.window, a);
  a.head.soft_cap = keys.SoftCap("final_logit_softcapping", 0);
  return a;
}

Architecture ReadGguf2(const GgufFile& file) {
  Architecture a = ReadGguf(file, "gemma2", kGemma2Largest, 2);
  const double cap = GgufKeys(file).SoftCap("attn_logit_softcapping", 50);
  for (BlockSpec& block : a.blocks) block.attention.soft_cap = cap;
  if (a.head.soft_cap == 0) a.head.soft_cap = 30;
  return a;
}

Architecture ReadGguf3(const GgufFile& file) {
  Architecture a = ReadGguf(file, "gemma3_text", kGemma3Largest, 6);
  SetRopes(
      a.ropes.front(),
      {GgufKeys(file).Number("rope.freq_base_swa", kRopeBases, 10000), a.ropes.front().dims, {}},
      a);
  return a;
}

// The width of heads is always stated, a usual rope not.
void WriteGguf1(const Architecture& a, const std::string& where, GgufMetadata& m) {
  Architecture stated = a;
  stated.states_head_dim = true;
  WriteDense(stated, where, m);
  const std::string architecture(FamilyOf(a).gguf_architecture);
  if (a.ropes.front().base == 10000) m.Erase(architecture + ".rope.freq_base");
}

void WriteGguf(const Architecture& a, const std::string& where, int64_t largest,
               int64_t usual_pattern, GgufMetadata& m) {
  WriteGguf1(a, where, m);
  const std::string architecture(FamilyOf(a).gguf_architecture);
  const AttentionSpec& attention = a.blocks.front().attention;
  DenseConfig c;
  c.layers = a.layers(), c.width = a.width, c.heads = attention.heads,
  c.head_dim = attention.head_dim;
  if (std::abs(attention.scale * std::sqrt(QueryScalar(c, largest)) - 1) > 1e-9) {
    throw InputError(where, ": query_pre_attn_scalar is not the value that a GGUF of ",
                     architecture, " implies (", QueryScalar(c, largest),
                     "); use the folder itself");
  }
  const int64_t pattern = SlidingPattern(a, where);
  if (pattern != usual_pattern && a.layers() >= std::min(pattern, usual_pattern))
    m.Set(architecture + ".attention.sliding_window_pattern", static_cast<uint32_t>(pattern));
  if (attention.soft_cap > 0)
    m.Set(architecture + ".attn_logit_softcapping", static_cast<float>(attention.soft_cap));
  if (a.head.soft_cap > 0)
    m.Set(architecture + ".final_logit_softcapping", static_cast<float>(a.head.soft_cap));
}

void WriteGguf2(const Architecture& a, const std::string& where, GgufMetadata& m) {
  if (a.blocks.front().attention.soft_cap == 0 || a.head.soft_cap == 0)
    throw InputError(where, ": a GGUF of gemma2 always has soft caps; use the folder itself");
  WriteGguf(a, where, kGemma2Largest, 2, m);
}

void WriteGguf3(const Architecture& a, const std::string& where, GgufMetadata& m) {
  const RopeSpec &global = a.ropes.front(), &local = a.ropes.back();
  if (local.scaling.kind != RopeScaling::Kind::kNone || a.blocks.front().attention.soft_cap != 0)
    throw InputError(
        where, ": a scaled local rope or a cap on scores cannot be written to a GGUF of gemma3");
  WriteGguf(a, where, kGemma3Largest, 6, m);
  m.Set("gemma3.rope.freq_base", static_cast<float>(global.base));
  m.Set("gemma3.rope.freq_base_swa", static_cast<float>(local.base));
}

constexpr PartName kNames[] = {
    {"post_attention_norm", "post_attention_layernorm"},
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
};

constexpr std::string_view kKeys2[] = {"attention.sliding_window_pattern", "attn_logit_softcapping",
                                       "final_logit_softcapping"};
constexpr std::string_view kKeys3[] = {"attention.sliding_window_pattern",
                                       "final_logit_softcapping", "rope.freq_base_swa"};

}  // namespace

extern const Family kGemma{.model_type = "gemma",
                           .model_class = "GemmaForCausalLM",
                           .gguf_architecture = "gemma",
                           .read = ReadGemma1,
                           .write = WriteGemma,
                           .read_gguf = ReadGguf1,
                           .write_gguf = WriteGguf1};
extern const Family kGemma2{.model_type = "gemma2",
                            .model_class = "Gemma2ForCausalLM",
                            .gguf_architecture = "gemma2",
                            .read = ReadGemma2,
                            .write = Write,
                            .read_gguf = ReadGguf2,
                            .write_gguf = WriteGguf2,
                            .names = kNames,
                            .gguf_keys = kKeys2};
extern const Family kGemma3{.model_type = "gemma3_text",
                            .model_class = "Gemma3ForCausalLM",
                            .gguf_architecture = "gemma3",
                            .read = ReadGemma3,
                            .write = WriteGemma3,
                            .read_gguf = ReadGguf3,
                            .write_gguf = WriteGguf3,
                            .names = kNames,
                            .gguf_keys = kKeys3};

}  // namespace retort
