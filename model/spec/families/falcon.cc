// SPDX-License-Identifier: Apache-2.0
// Falcon (arXiv 2311.16867): attention and MLP side by side, LayerNorm with bias, an MLP without a
// gate, q, k and v in one matrix. 7B has one key head for all query heads and one norm a layer; 40B
// and 180B have groups and a norm each for attention and MLP. Falcon 3 is Llama.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/spec/families.h"
#include "model/spec/gguf_config.h"

namespace retort {
namespace {

Architecture MakeFalcon(const DenseConfig& c, bool two_norms) {
  Architecture a = c;
  a.norm.kind = NormSpec::Kind::kLayer;
  a.norm.bias = true;
  for (BlockSpec& block : a.blocks) {
    block.order = two_norms ? ResidualOrder::kParallelTwoNorms : ResidualOrder::kParallel;
    block.attention.fused = FusedQkv::kByGroup;
    block.mlp.gated = false;
    block.mlp.activation = Activation::kGelu;
  }
  return a;
}

int64_t KeyHeads(const ConfigReader& j, bool grouped, int64_t heads) {
  if (grouped) return j.Int("num_kv_heads", {1, heads}, heads);
  return j.Bool("multi_query", true) ? 1 : heads;
}

Architecture Read(const ConfigReader& j) {
  if (j.Bool("alibi", false)) throw InputError(j.where(), ": 'alibi' (Falcon-RW) is not supported");
  if (!j.Bool("parallel_attn", true))
    throw InputError(j.where(), ": 'parallel_attn' false is not supported");
  if (const std::string f = j.Text("activation", "gelu"); f != "gelu")
    throw InputError(j.where(), ": activation '", f, "' is not supported; supported: gelu");
  const bool grouped = j.Bool("new_decoder_architecture", false);
  DenseConfig c;
  c.family = "falcon";
  c.layers = j.Int("num_hidden_layers", kLayerCounts);
  c.width = j.Int("hidden_size", kWidths);
  c.heads = j.Int("num_attention_heads", kHeadCounts);
  c.kv_heads = KeyHeads(j, grouped, c.heads);
  c.head_dim = c.width / c.heads;
  c.ffn = j.Int("ffn_hidden_size", kMlpWidths, 4 * c.width);
  c.vocab = j.Int("vocab_size", kVocabSizes);
  c.max_positions = j.Int("max_position_embeddings", kPositions, 2048);
  c.norm_epsilon = j.Number("layer_norm_epsilon", kEpsilons, 1e-5);
  const RopeSpec rope = ReadRope(j, c.head_dim, {}, "full_attention");
  c.rotary_base = rope.base, c.rotary_dims = rope.dims, c.rotary = rope.scaling;
  c.qkv_bias = c.o_bias = c.mlp_bias = j.Bool("bias", false);
  c.tied = j.Bool("tie_word_embeddings", true);
  c.bos = j.TokenId("bos_token_id", c.vocab);
  c.ends = j.TokenIds("eos_token_id", c.vocab);
  const int64_t norms = j.Int("num_ln_in_parallel_attn", {1, 2}, grouped ? 2 : 1);
  return MakeFalcon(c, grouped && norms == 2);
}

void Write(const Architecture& a, const std::string& where, Json& config) {
  const AttentionSpec& attention = a.blocks.front().attention;
  const bool two_norms = a.blocks.front().order == ResidualOrder::kParallelTwoNorms;
  const bool grouped =
      two_norms || (attention.kv_heads != 1 && attention.kv_heads != attention.heads);
  if (attention.head_dim * attention.heads != a.width)
    throw InputError(where, ": heads of falcon that are not as wide as the model together");
  config["num_hidden_layers"] = a.layers();
  config["hidden_size"] = a.width;
  config["num_attention_heads"] = attention.heads;
  config["num_kv_heads"] = attention.kv_heads;
  config["new_decoder_architecture"] = grouped;
  config["multi_query"] = attention.kv_heads == 1;
  if (grouped) config["num_ln_in_parallel_attn"] = two_norms ? 2 : 1;
  config["parallel_attn"] = true;
  config["alibi"] = false;
  config["bias"] = attention.qkv_bias;
  config["activation"] = "gelu";
  config["ffn_hidden_size"] = a.mlp_width();
  config["vocab_size"] = a.vocab;
  config["max_position_embeddings"] = a.max_positions;
  config["layer_norm_epsilon"] = NumberJson(a.norm.epsilon);
  config["tie_word_embeddings"] = a.head.tied;
  WriteRope(a.ropes.front(), attention.head_dim, a, config);
}

Architecture ReadGguf(const GgufFile& file) {
  DenseConfig c = ReadDense(file);
  c.family = "falcon";
  return MakeFalcon(c, GgufKeys(file).HasPart(0, "attn_norm_2.weight"));
}

void WriteGguf(const Architecture& a, const std::string& where, GgufMetadata& m) {
  if (a.blocks.front().mlp.bias)
    throw InputError(where,
                     ": biases of matrices cannot be written to a GGUF of falcon; use the "
                     "folder itself");
  WriteDense(a, where, m);
  EraseUsual(a, m);
  m.Set("falcon.tensor_data_layout", std::string("jploski"));
}

constexpr PartName kNames[] = {
    {"token_embd", "transformer.word_embeddings"},
    {"output_norm", "transformer.ln_f"},
    {"attn_norm", "input_layernorm"},
    {"attn_norm_2", "ln_attn"},
    {"ffn_norm", "ln_mlp", {}, "attn_norm"},
    {"attn_qkv", "self_attention.query_key_value"},
    {"attn_output", "self_attention.dense"},
    {"ffn_up", "mlp.dense_h_to_4h"},
    {"ffn_down", "mlp.dense_4h_to_h"},
};

}  // namespace

extern const Family kFalcon{.model_type = "falcon",
                            .model_class = "FalconForCausalLM",
                            .gguf_architecture = "falcon",
                            .read = Read,
                            .write = Write,
                            .read_gguf = ReadGguf,
                            .write_gguf = WriteGguf,
                            .names = kNames,
                            .layers = "transformer.h."};

}  // namespace retort
