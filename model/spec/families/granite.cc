// SPDX-License-Identifier: Apache-2.0
// Granite 3 (IBM): Llama with four factors, on the embeddings, on what each layer adds, on the
// scores, and on the logits.
#include <nlohmann/json.hpp>

#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

void SetFactors(double embedding, double residual, double attention, double logits,
                Architecture& a) {
  a.embedding_scale = embedding;
  a.residual_scale = residual;
  a.head.scale = 1 / logits;
  for (BlockSpec& block : a.blocks) block.attention.scale = attention;
}

Architecture Read(const ConfigReader& j) {
  RequireSilu(j);
  DenseConfig c = ReadDense(j, {});
  c.qkv_bias = c.o_bias = j.Bool("attention_bias", false);
  c.mlp_bias = j.Bool("mlp_bias", false);
  Architecture a = c;
  SetFactors(
      j.Number("embedding_multiplier", kScales, 1), j.Number("residual_multiplier", kScales, 1),
      j.Number("attention_multiplier", kScales, 1), j.Number("logits_scaling", kScales, 1), a);
  return a;
}

void Write(const Architecture& a, const std::string& where, Json& config) {
  WriteDense(a, where, config);
  WriteAttentionBias(a, where, config);
  config["mlp_bias"] = a.blocks.front().mlp.bias;
  config["embedding_multiplier"] = NumberJson(a.embedding_scale);
  config["residual_multiplier"] = NumberJson(a.residual_scale);
  config["attention_multiplier"] = NumberJson(a.blocks.front().attention.scale);
  config["logits_scaling"] = NumberJson(1 / a.head.scale);
}

// A factor that a file lacks or states as 0 is llama.cpp's usual one.
double FactorOf(const GgufKeys& keys, const char* key, double usual) {
  const double factor = keys.Number(key, {0, kScales.most}, 0);
  return factor == 0 ? usual : keys.Number(key, kScales);
}

Architecture ReadGguf(const GgufFile& file) {
  const GgufKeys keys(file);
  DenseConfig c = ReadDense(file);
  c.family = "granite";
  Architecture a = c;
  SetFactors(FactorOf(keys, "embedding_scale", 1), FactorOf(keys, "residual_scale", 1),
             FactorOf(keys, "attention.scale", a.blocks.front().attention.scale),
             FactorOf(keys, "logit_scale", 1), a);
  return a;
}

void WriteGguf(const Architecture& a, const std::string& where, GgufMetadata& m) {
  Architecture without = a;
  without.states_head_dim = false;
  WriteDense(without, where, m);
  WriteSizes(a, m);
  m.Set("granite.attention.scale", static_cast<float>(a.blocks.front().attention.scale));
  m.Set("granite.embedding_scale", static_cast<float>(a.embedding_scale));
  m.Set("granite.residual_scale", static_cast<float>(a.residual_scale));
  m.Set("granite.logit_scale", static_cast<float>(1 / a.head.scale));
}

constexpr std::string_view kKeys[] = {"attention.scale", "embedding_scale", "residual_scale",
                                      "logit_scale"};

}  // namespace

extern const Family kGranite{.model_type = "granite",
                             .model_class = "GraniteForCausalLM",
                             .gguf_architecture = "granite",
                             .read = Read,
                             .write = Write,
                             .read_gguf = ReadGguf,
                             .write_gguf = WriteGguf,
                             .interleaved_rows = true,
                             .gguf_keys = kKeys};

}  // namespace retort
