// SPDX-License-Identifier: Apache-2.0
// SmolLM3 (Hugging Face, 2025): Llama whose every fourth layer has no rope (arXiv 2501.18795).
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

constexpr int64_t kInterval = 4;  // what a GGUF of smollm3 implies
constexpr IntRange kFlags{0, 1};

std::vector<int64_t> RopeLayers(const ConfigReader& j, int64_t layers) {
  std::vector<int64_t> flags = j.Ints("no_rope_layers", kFlags);  // 1: with rope, despite the name
  if (!flags.empty() && std::ssize(flags) != layers) {
    throw InputError(j.where(), ": 'no_rope_layers' names ", flags.size(),
                     " layers, the model has ", layers);
  }
  const int64_t interval = j.Int("no_rope_layer_interval", kLayerCounts, kInterval);
  for (int64_t layer = std::ssize(flags); layer < layers; ++layer)
    flags.push_back((layer + 1) % interval != 0);
  return flags;
}

Architecture Read(const ConfigReader& j) {
  RequireSilu(j);
  if (j.Bool("use_sliding_window", false))
    throw InputError(j.where(), ": 'use_sliding_window' is not supported for smollm3");
  DenseConfig c =
      ReadDense(j, {.kv_heads = 4, .tied = true, .rope = {.base = 2e6, .max_positions = 32768}});
  RefuseSliding(j, c.layers);
  c.qkv_bias = c.o_bias = j.Bool("attention_bias", false);
  c.mlp_bias = j.Bool("mlp_bias", false);
  Architecture a = c;
  const std::vector<int64_t> turned = RopeLayers(j, a.layers());
  for (size_t i = 0; i < turned.size(); ++i) a.blocks[i].attention.rope = turned[i] ? 0 : kNoRope;
  return a;
}

void Write(const Architecture& a, const std::string& where, Json& config) {
  WriteDense(a, where, config);
  WriteAttentionBias(a, where, config);
  config["mlp_bias"] = a.blocks.front().mlp.bias;
  Json turned = Json::array();
  for (const BlockSpec& block : a.blocks) turned.push_back(block.attention.rope != kNoRope ? 1 : 0);
  config["no_rope_layers"] = turned;
  config["no_rope_layer_interval"] = kInterval;
  config["use_sliding_window"] = false;
}

int RopeOf(int64_t layer) { return (layer + 1) % kInterval == 0 ? kNoRope : 0; }

Architecture ReadGguf(const GgufFile& file) {
  DenseConfig c = ReadDense(file);
  c.family = "smollm3";
  Architecture a = c;
  for (int64_t i = 0; i < a.layers(); ++i)
    a.blocks[static_cast<size_t>(i)].attention.rope = RopeOf(i);
  return a;
}

void WriteGguf(const Architecture& a, const std::string& where, GgufMetadata& m) {
  for (int64_t i = 0; i < a.layers(); ++i) {
    if (a.blocks[static_cast<size_t>(i)].attention.rope == RopeOf(i)) continue;
    throw InputError(where,
                     ": layers without rope other than every fourth cannot be written to a "
                     "GGUF of smollm3; use the folder itself");
  }
  WriteDense(a, where, m);
  WriteSizes(a, m);
}

}  // namespace

extern const Family kSmolLm3{.model_type = "smollm3",
                             .model_class = "SmolLM3ForCausalLM",
                             .gguf_architecture = "smollm3",
                             .read = Read,
                             .write = Write,
                             .read_gguf = ReadGguf,
                             .write_gguf = WriteGguf,
                             .interleaved_rows = true};

}  // namespace retort
