// SPDX-License-Identifier: Apache-2.0
// Command R and R+ (Cohere, 2024): attention and MLP side by side on one LayerNorm without bias,
// neighbouring pairs in the rope, scaled logits; R+ has a norm with gains of its own on each head
// of q and k. Command R7B (arXiv 2504.00698): three local layers with rope, then a global one
// without.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

constexpr int64_t kPattern = 4;
constexpr int64_t kUsualPositions = 8192;  // of a file that states none

Architecture MakeCohere(const DenseConfig& c, double logit_scale) {
  Architecture a = c;
  a.norm.kind = NormSpec::Kind::kLayer;
  a.head.scale = logit_scale;
  a.ropes.front().pairs = RotaryPairs::kNeighbours;
  for (BlockSpec& block : a.blocks) block.order = ResidualOrder::kParallel;
  return a;
}

// Layers with a window turn by position, the others do not.
void SetWindows(const std::vector<bool>& sliding, int64_t window, Architecture& a) {
  for (size_t i = 0; i < sliding.size(); ++i) {
    a.blocks[i].attention.window = sliding[i] ? window : 0;
    a.blocks[i].attention.rope = sliding[i] ? 0 : kNoRope;
  }
}

Architecture ReadAny(const ConfigReader& j, double rope_base) {
  RequireSilu(j);
  DenseConfig c =
      ReadDense(j, {.tied = true, .rope = {.base = rope_base, .max_positions = kUsualPositions}});
  c.norm_epsilon = j.Number("layer_norm_eps", kEpsilons, 1e-5);
  c.qkv_bias = c.o_bias = j.Bool("attention_bias", false);
  if (j.Bool("use_qk_norm", false)) c.qk_norm = QkNorm::kEachHead;
  return MakeCohere(c, j.Number("logit_scale", kScales, 0.0625));
}

Architecture ReadCohere(const ConfigReader& j) { return ReadAny(j, 500000); }

void WriteCohere(const Architecture& a, const std::string& where, Json& config) {
  WriteDense(a, where, config);
  WriteAttentionBias(a, where, config);
  config.erase("rms_norm_eps");
  config["layer_norm_eps"] = NumberJson(a.norm.epsilon);
  config["logit_scale"] = NumberJson(a.head.scale);
  config["use_qk_norm"] = a.blocks.front().attention.qk_norm != QkNorm::kNone;
}

Architecture ReadCohere2(const ConfigReader& j) {
  Architecture a = ReadAny(j, 10000);
  a.states_head_dim = true;  // as transformers does
  const int64_t pattern = j.Int("sliding_window_pattern", kPatterns, kPattern);
  SetWindows(ReadSliding(j, a.layers(), pattern), ReadWindow(j, 4096), a);
  return a;
}

void WriteCohere2(const Architecture& a, const std::string& where, Json& config) {
  WriteCohere(a, where, config);
  config.erase("use_qk_norm");
  config["sliding_window"] = WindowJson(a, where);
  config["sliding_window_pattern"] = SlidingPattern(a, where);
  config["layer_types"] = LayerTypesJson(a);
}

Architecture ReadGguf(const GgufFile& file) {
  DenseConfig c = ReadDense(file);
  c.family = "cohere";
  if (c.qk_norm != QkNorm::kNone) c.qk_norm = QkNorm::kEachHead;
  return MakeCohere(c, GgufKeys(file).Number("logit_scale", kScales));
}

Architecture ReadGguf2(const GgufFile& file) {
  const GgufKeys keys(file);
  DenseConfig c = ReadDense(file);
  c.family = "cohere2";
  Architecture a = MakeCohere(c, keys.Number("logit_scale", kScales));
  SetWindows(ReadSlidingPattern(keys, a.layers(), kPattern),
             keys.Int("attention.sliding_window", kWindows), a);
  return a;
}

void WriteGguf(const Architecture& a, const std::string& where, GgufMetadata& m) {
  WriteDense(a, where, m);
  const std::string architecture(FamilyOf(a).gguf_architecture);
  if (!a.head.tied)
    throw InputError(where, ": a head of its own cannot be written to a GGUF of ", architecture,
                     ", which has tied embeddings; use the folder itself");
  m.Set(architecture + ".logit_scale", static_cast<float>(a.head.scale));
  if (a.ropes.front().scaling.kind == RopeScaling::Kind::kNone)
    m.Set(architecture + ".rope.scaling.type", std::string("none"));
}

void WriteGguf2(const Architecture& a, const std::string& where, GgufMetadata& m) {
  if (a.layers() >= kPattern && SlidingPattern(a, where) != kPattern)
    throw InputError(where,
                     ": other patterns than three local layers and a global one cannot be "
                     "written to a GGUF of cohere2; use the folder itself");
  WriteGguf(a, where, m);
  WriteSizes(a, m);
}

constexpr std::string_view kKeys[] = {"logit_scale", "attention.sliding_window_pattern"};

}  // namespace

extern const Family kCohere{.model_type = "cohere",
                            .model_class = "CohereForCausalLM",
                            .gguf_architecture = "command-r",
                            .read = ReadCohere,
                            .write = WriteCohere,
                            .read_gguf = ReadGguf,
                            .write_gguf = WriteGguf,
                            .gguf_keys = kKeys};
extern const Family kCohere2{.model_type = "cohere2",
                             .model_class = "Cohere2ForCausalLM",
                             .gguf_architecture = "cohere2",
                             .read = ReadCohere2,
                             .write = WriteCohere2,
                             .read_gguf = ReadGguf2,
                             .write_gguf = WriteGguf2,
                             .gguf_keys = kKeys};

}  // namespace retort
