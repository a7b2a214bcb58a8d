// SPDX-License-Identifier: Apache-2.0
// OLMo 2 (arXiv 2501.00656): norms after attention and MLP instead of before, and over all heads of
// q and of k together.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

Architecture MakeOlmo(DenseConfig c) {
  c.qk_norm = QkNorm::kWhole;
  Architecture a = c;
  for (BlockSpec& block : a.blocks) block.order = ResidualOrder::kPost;
  return a;
}

Architecture Read(const ConfigReader& j) {
  RequireSilu(j);
  DenseConfig c = ReadDense(j, {.norm_epsilon = 1e-5});
  c.qkv_bias = c.o_bias = j.Bool("attention_bias", false);
  return MakeOlmo(c);
}

void Write(const Architecture& a, const std::string& where, Json& config) {
  WriteDense(a, where, config);
  WriteAttentionBias(a, where, config);
}

Architecture ReadGguf(const GgufFile& file) {
  const GgufKeys keys(file);
  if (keys.Int("attention.sliding_window", kWindows, 0) > 0)
    throw InputError(keys.where(),
                     ": a GGUF of olmo2 with a sliding window (OLMo 3) is not supported");
  DenseConfig c = ReadDense(file);
  c.family = "olmo2";
  return MakeOlmo(c);
}

constexpr PartName kNames[] = {{"post_attention_norm", "post_attention_layernorm"},
                               {"post_ffw_norm", "post_feedforward_layernorm"}};

}  // namespace

extern const Family kOlmo2{.model_type = "olmo2",
                           .model_class = "Olmo2ForCausalLM",
                           .gguf_architecture = "olmo2",
                           .read = Read,
                           .write = Write,
                           .read_gguf = ReadGguf,
                           .write_gguf = WriteDense,
                           .names = kNames};

}  // namespace retort
