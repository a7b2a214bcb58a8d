// SPDX-License-Identifier: Apache-2.0
#include "model/spec/gguf_config.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "model/spec/families.h"
#include "tensor/quant/quant.h"
#include "tokenizer/gguf_rules.h"

namespace retort {
namespace {

constexpr int64_t kMostLayers = 4096;

// All ids listed in the file at which generation ends. Without Retort's own list, also those that
// llama.cpp finds: the usual id where the file names none, and tokens that are spelt like an end.
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
    return ends;
  }
  if (!m.Find("tokenizer.ggml.tokens")) return ends;
  const std::vector<std::string>& tokens = m.Texts("tokenizer.ggml.tokens");
  const auto count = std::min(std::ssize(tokens), vocab);
  const int32_t usual = GgufDefaultsOf(m.Text("tokenizer.ggml.model", ""), "").eos;
  if (!m.Find("tokenizer.ggml.eos_token_id") && usual < count) add(usual);
  for (const int32_t id : EndsBySpelling(tokens)) {
    if (id < count) add(id);
  }
  return ends;
}

RopeScaling ScalingOf(const GgufFile& file, const std::string& architecture, int64_t dims) {
  RopeScaling out;
  const std::string type = file.metadata.Text(architecture + ".rope.scaling.type", "none");
  if (file.tensors.Find("rope_freqs.weight")) {
    out.kind = RopeScaling::Kind::kFactors;
    const Weight w = file.tensors.Load("rope_freqs.weight", {dims / 2});
    out.factors.resize(static_cast<size_t>(dims / 2));
    DecodeRow(w, 0, 0, dims / 2, out.factors.data());
  } else if (type == "linear") {
    out.kind = RopeScaling::Kind::kLinear;
    out.factor = file.metadata.Number(architecture + ".rope.scaling.factor");
  } else if (type != "none") {
    throw InputError(file.tensors.where(), ": ", architecture, ".rope.scaling.type '", type,
                     "' is not supported; supported: none, linear");
  }
  return out;
}

int64_t VocabOf(const GgufFile& file) {
  const TensorEntry* table = file.tensors.Find("token_embd.weight");
  if (!table || table->shape.size() != 2)
    throw InputError(file.tensors.where(), ": tensor 'token_embd.weight' is missing");
  return table->shape[0];
}

bool SameAttention(const AttentionSpec& a, const AttentionSpec& b) {
  return a.heads == b.heads && a.kv_heads == b.kv_heads && a.head_dim == b.head_dim &&
         a.scale == b.scale && a.soft_cap == b.soft_cap;
}

}  // namespace

GgufKeys::GgufKeys(const GgufFile& file)
    : file_(file), architecture_(file.metadata.Text("general.architecture")) {}

std::string GgufKeys::Key(std::string_view key) const { return Cat(architecture_, ".", key); }
bool GgufKeys::Has(std::string_view key) const { return file_.metadata.Find(Key(key)) != nullptr; }
int64_t GgufKeys::Int(std::string_view key) const { return file_.metadata.Int(Key(key)); }
int64_t GgufKeys::Int(std::string_view key, int64_t fallback) const {
  return file_.metadata.Int(Key(key), fallback);
}
double GgufKeys::Number(std::string_view key) const { return file_.metadata.Number(Key(key)); }
double GgufKeys::Number(std::string_view key, double fallback) const {
  return file_.metadata.Number(Key(key), fallback);
}
bool GgufKeys::HasPart(int64_t layer, std::string_view part) const {
  return HasTensor(Cat("blk.", layer, ".", part));
}

DenseConfig ReadDense(const GgufFile& file) {
  const GgufKeys keys(file);
  DenseConfig c;
  c.family.clear();
  c.layers = keys.Int("block_count");
  if (c.layers < 1 || c.layers > kMostLayers) {
    throw InputError(keys.where(), ": ", keys.architecture(), ".block_count is ", c.layers,
                     "; must be in 1 ... ", kMostLayers);
  }
  c.width = keys.Int("embedding_length");
  c.heads = keys.Int("attention.head_count");
  c.kv_heads = keys.Int("attention.head_count_kv", c.heads);
  c.head_dim = keys.Int("attention.key_length", c.heads > 0 ? c.width / c.heads : 0);
  c.ffn = keys.Int("feed_forward_length");
  c.max_positions = keys.Int("context_length", c.max_positions);
  c.norm_epsilon = keys.Number("attention.layer_norm_rms_epsilon");
  c.rotary_base = keys.Number("rope.freq_base", c.rotary_base);
  c.window = keys.Int("attention.sliding_window", 0);
  c.vocab = VocabOf(file);
  c.qkv_bias = keys.HasPart(0, "attn_q.bias");
  c.o_bias = keys.HasPart(0, "attn_output.bias");
  c.mlp_bias = keys.HasPart(0, "ffn_up.bias");
  c.qk_norm = keys.HasPart(0, "attn_q_norm.weight");
  c.tied = !keys.HasTensor("output.weight");
  const int64_t dims = keys.Int("rope.dimension_count", c.head_dim);
  if (dims >= 2 && dims <= c.head_dim) c.rotary = ScalingOf(file, keys.architecture(), dims);
  c.bos = static_cast<int32_t>(
      std::clamp<int64_t>(file.metadata.Int("tokenizer.ggml.bos_token_id", -1), -1, INT32_MAX));
  c.ends = EndsOf(file.metadata, c.vocab, keys.where());
  return c;
}

void WriteDense(const Architecture& a, const std::string& where, GgufMetadata& m) {
  const std::string architecture(FamilyOf(a).gguf_architecture);
  const AttentionSpec& attention = a.blocks.front().attention;
  for (const BlockSpec& block : a.blocks) {
    if (!SameAttention(block.attention, attention))
      throw InputError(where, ": its layers' attention differs, which a GGUF of ", architecture,
                       " cannot express");
  }
  const RopeSpec& rope = a.ropes[static_cast<size_t>(a.blocks.back().attention.rope)];
  const auto count = [&](const char* key, int64_t value) {
    m.Set(Cat(architecture, ".", key), static_cast<uint32_t>(value));
  };
  const auto number = [&](const char* key, double value) {
    m.Set(Cat(architecture, ".", key), static_cast<float>(value));
  };
  m.Set("general.architecture", architecture);
  count("block_count", a.layers());
  count("context_length", a.max_positions);
  count("embedding_length", a.width);
  count("feed_forward_length", a.blocks.front().mlp.width);
  count("attention.head_count", attention.heads);
  count("attention.head_count_kv", attention.kv_heads);
  count("attention.key_length", attention.head_dim);
  count("attention.value_length", attention.head_dim);
  number("attention.layer_norm_rms_epsilon", a.norm.epsilon);
  count("rope.dimension_count", rope.dims);
  number("rope.freq_base", rope.base);
  count("vocab_size", a.vocab);
  for (const BlockSpec& block : a.blocks) {
    if (block.attention.window == 0) continue;
    count("attention.sliding_window", block.attention.window);
    break;
  }
  if (rope.scaling.kind == RopeScaling::Kind::kLinear) {
    m.Set(architecture + ".rope.scaling.type", std::string("linear"));
    number("rope.scaling.factor", rope.scaling.factor);
  }
}

int64_t SlidingPattern(const Architecture& a, const std::string& where) {
  int64_t pattern = a.layers() + 1;  // if every layer has a window
  for (int64_t i = a.layers() - 1; i >= 0; --i) {
    if (a.blocks[static_cast<size_t>(i)].attention.window == 0) pattern = i + 1;
  }
  for (int64_t i = 0; i < a.layers(); ++i) {
    const bool sliding = a.blocks[static_cast<size_t>(i)].attention.window > 0;
    if (sliding != (i % pattern < pattern - 1))
      throw InputError(
          where, ": layer ", i,
          " breaks the pattern of local and global layers, which a GGUF cannot express");
  }
  return pattern;
}

Architecture ConfigFromGguf(const GgufFile& file) {
  const std::string where = file.tensors.where();
  Architecture a = FamilyOfGguf(file.metadata.Text("general.architecture"), where).read_gguf(file);
  Validate(a, where);
  return a;
}

void ConfigToGguf(const Architecture& a, const std::string& where, GgufMetadata& metadata) {
  FamilyOf(a).write_gguf(a, where, metadata);
}

}  // namespace retort
