// SPDX-License-Identifier: Apache-2.0
// Phi-3 and Phi-4-mini (arXiv 2404.14219): q, k and v are one matrix, and so are gate and up;
// rotary embedding may cover only the first part of each head.
#include "base/error.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

void MakePhi(Architecture& a) {
  for (BlockSpec& block : a.blocks) block.attention.fused = block.mlp.fused = true;
}

Architecture Read(const ConfigReader& j) {
  if (ReadActivation(j, Activation::kSilu) != Activation::kSilu)
    throw InputError(j.where(), ": hidden_act '", j.Text("hidden_act", ""),
                     "' is not supported; supported: silu");
  DenseConfig c = ReadDense(j);
  c.window = j.Int("sliding_window", kWindows, 0);
  Architecture a = c;
  MakePhi(a);
  return a;
}

Architecture ReadGguf(const GgufFile& file) {
  const GgufKeys keys(file);
  if (keys.HasTensor("rope_factors_long.weight"))
    throw InputError(keys.where(), ": LongRoPE (rope_factors_long) is not supported");
  DenseConfig c = ReadDense(file);
  c.family = "phi3";
  Architecture a = c;
  MakePhi(a);
  return a;
}

constexpr PartName kNames[] = {{"ffn_up", "mlp.gate_up_proj"}};

}  // namespace

extern const Family kPhi3{"phi3", "Phi3ForCausalLM", "phi3", Read, ReadGguf, WriteDense, kNames};

}  // namespace retort
