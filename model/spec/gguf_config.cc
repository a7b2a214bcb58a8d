// SPDX-License-Identifier: Apache-2.0
#include "model/spec/gguf_config.h"

#include <algorithm>

#include "base/error.h"
#include "model/spec/tensors.h"
#include "tensor/quant/quant.h"

namespace retort {
namespace {

std::vector<float> FloatsOf(const TensorTable& tensors, const char* name, int64_t count) {
  const Weight w = tensors.Fetch(name, {count});
  std::vector<float> out(static_cast<size_t>(count));
  DecodeRow(w, 0, 0, count, out.data());
  return out;
}

// Generation ends at each of these where the file names them.
std::vector<int32_t> EndsOf(const GgufMetadata& m, int64_t vocab, const std::string& where) {
  std::vector<int32_t> ends;
  const auto add = [&](int64_t id) {
    if (id < 0) return;
    if (id >= vocab)
      throw InputError(where, ": end token ", id, " is outside the vocabulary of ", vocab);
    if (std::find(ends.begin(), ends.end(), id) == ends.end())
      ends.push_back(static_cast<int32_t>(id));
  };
  for (const char* kind : {"eos", "eot", "eom"})
    add(m.Int(Cat("tokenizer.ggml.", kind, "_token_id"), -1));
  if (m.Find("retort.end_token_ids")) {
    for (int64_t id : m.Ints("retort.end_token_ids")) add(id);
  }
  return ends;
}

RotaryScaling ScalingOf(const GgufFile& file, const std::string& arch, int64_t head_dim) {
  RotaryScaling out;
  const std::string type = file.metadata.Text(arch + ".rope.scaling.type", "none");
  if (file.tensors.Find("rope_freqs.weight")) {
    out.kind = RotaryScaling::Kind::kFactors;
    out.factors = FloatsOf(file.tensors, "rope_freqs.weight", head_dim / 2);
  } else if (type == "linear") {
    out.kind = RotaryScaling::Kind::kLinear;
    out.factor = file.metadata.Number(arch + ".rope.scaling.factor");
  } else if (type != "none") {
    throw InputError(file.tensors.where(), ": ", arch, ".rope.scaling.type '", type,
                     "' is not supported; supported: none, linear");
  }
  return out;
}

}  // namespace

ModelConfig ConfigFromGguf(const GgufFile& file) {
  const GgufMetadata& m = file.metadata;
  const std::string where = file.tensors.where();
  const std::string arch = m.Text("general.architecture");
  if (arch != "llama" && arch != "qwen2" && arch != "qwen3") {
    throw InputError(where, ": architecture '", arch,
                     "' is not supported; supported: llama, qwen2, qwen3");
  }
  const auto has = [&](const char* name) { return file.tensors.Find(name) != nullptr; };
  ModelConfig c;
  c.layers = m.Int(arch + ".block_count");
  c.width = m.Int(arch + ".embedding_length");
  c.heads = m.Int(arch + ".attention.head_count");
  c.kv_heads = m.Int(arch + ".attention.head_count_kv", c.heads);
  c.head_dim = m.Int(arch + ".attention.key_length", c.heads > 0 ? c.width / c.heads : 0);
  c.ffn = m.Int(arch + ".feed_forward_length");
  c.max_positions = m.Int(arch + ".context_length", c.max_positions);
  c.norm_epsilon = m.Number(arch + ".attention.layer_norm_rms_epsilon");
  c.rotary_base = m.Number(arch + ".rope.freq_base", 10000);
  c.window = m.Int(arch + ".attention.sliding_window", 0);
  const TensorEntry* table = file.tensors.Find("token_embd.weight");
  if (!table || table->shape.size() != 2)
    throw InputError(where, ": tensor 'token_embd.weight' is missing");
  c.vocab = table->shape[0];
  c.family = arch == "llama" && c.window > 0 ? "mistral" : arch;
  c.qkv_bias = has("blk.0.attn_q.bias");
  c.o_bias = has("blk.0.attn_output.bias");
  c.mlp_bias = has("blk.0.ffn_up.bias");
  c.qk_norm = has("blk.0.attn_q_norm.weight");
  c.tied = !has("output.weight");
  ValidateConfig(c, where);
  c.rotary = ScalingOf(file, arch, c.head_dim);
  c.bos = static_cast<int32_t>(m.Int("tokenizer.ggml.bos_token_id", -1));
  c.ends = EndsOf(m, c.vocab, where);
  return c;
}

void ConfigToGguf(const ModelConfig& c, GgufMetadata& m) {
  const std::string arch = GgufArchitecture(c);
  const auto count = [&](const char* key, int64_t value) {
    m.Set(Cat(arch, ".", key), static_cast<uint32_t>(value));
  };
  const auto number = [&](const char* key, double value) {
    m.Set(Cat(arch, ".", key), static_cast<float>(value));
  };
  m.Set("general.architecture", arch);
  count("block_count", c.layers);
  count("context_length", c.max_positions);
  count("embedding_length", c.width);
  count("feed_forward_length", c.ffn);
  count("attention.head_count", c.heads);
  count("attention.head_count_kv", c.kv_heads);
  count("attention.key_length", c.head_dim);
  count("attention.value_length", c.head_dim);
  number("attention.layer_norm_rms_epsilon", c.norm_epsilon);
  count("rope.dimension_count", c.head_dim);
  number("rope.freq_base", c.rotary_base);
  count("vocab_size", c.vocab);
  if (c.window > 0) count("attention.sliding_window", c.window);
  if (c.rotary.kind == RotaryScaling::Kind::kLinear) {
    m.Set(arch + ".rope.scaling.type", std::string("linear"));
    number("rope.scaling.factor", c.rotary.factor);
  }
}

}  // namespace retort
