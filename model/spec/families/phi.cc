// SPDX-License-Identifier: Apache-2.0
// Phi-3 and Phi-4-mini (arXiv 2404.14219): q, k and v are one matrix, and so are gate and up;
// rotary embedding may cover only the first part of each head.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

void MakePhi(Architecture& a) {
  for (BlockSpec& block : a.blocks) {
    block.attention.fused = FusedQkv::kJoined;
    block.mlp.fused = true;
  }
}

constexpr int64_t kPositionsUsual = 4096;  // where a file states none

// Files state it also without a scaling, and a GGUF keeps it.
int64_t OriginalPositions(const ConfigReader& j) {
  constexpr std::string_view kKey = "original_max_position_embeddings";
  const int64_t usual = j.Int(kKey, kPositions, kPositionsUsual);
  if (!j.Has("rope_parameters")) return usual;
  return j.Section("rope_parameters").Int(kKey, kPositions, usual);
}

Architecture Read(const ConfigReader& j) {
  RequireSilu(j);
  DenseConfig c = ReadDense(
      j, {.norm_epsilon = 1e-5,
          .rope = {.max_positions = kPositionsUsual, .original_positions = kPositionsUsual}});
  c.window = ReadWindow(j, 0);
  if (c.rotary.kind == RopeScaling::Kind::kNone)
    c.rotary.original_max_positions = OriginalPositions(j);
  Architecture a = c;
  MakePhi(a);
  return a;
}

void Write(const Architecture& a, const std::string& where, Json& config) {
  WriteDense(a, where, config);
  const RopeScaling& s = a.ropes.front().scaling;
  if (s.kind != RopeScaling::Kind::kNone && s.kind != RopeScaling::Kind::kLongRope)
    throw InputError(where, ": a model of phi3 has no other rope scaling than longrope");
  config["original_max_position_embeddings"] = s.original_max_positions;
  config["sliding_window"] = WindowJson(a, where);
}

Architecture ReadGguf(const GgufFile& file) {
  DenseConfig c = ReadDense(file);
  c.family = "phi3";
  c.rotary.original_max_positions =
      GgufKeys(file).Int("rope.scaling.original_context_length", kPositions, c.max_positions);
  Architecture a = c;
  MakePhi(a);
  return a;
}

void WriteGguf(const Architecture& a, const std::string& where, GgufMetadata& m) {
  WriteDense(a, where, m);
  const double base = a.ropes.front().base;
  EraseUsual(a, m);
  m.Set("phi3.rope.freq_base", static_cast<float>(base));
  m.Set("phi3.rope.dimension_count", static_cast<uint32_t>(a.ropes.front().dims));
  const RopeScaling& s = a.ropes.front().scaling;
  const bool long_rope = s.kind == RopeScaling::Kind::kLongRope;
  m.Set("phi3.rope.scaling.original_context_length",
        static_cast<uint32_t>(s.original_max_positions));
  if (long_rope) m.Set("phi3.rope.scaling.attn_factor", static_cast<float>(s.amplitude));
  if (a.blocks.front().attention.window == 0)
    m.Set("phi3.attention.sliding_window", static_cast<uint32_t>(0));
}

constexpr PartName kNames[] = {{"ffn_up", "mlp.gate_up_proj"}};

}  // namespace

extern const Family kPhi3{.model_type = "phi3",
                          .model_class = "Phi3ForCausalLM",
                          .gguf_architecture = "phi3",
                          .read = Read,
                          .write = Write,
                          .read_gguf = ReadGguf,
                          .write_gguf = WriteGguf,
                          .names = kNames};

}  // namespace retort
