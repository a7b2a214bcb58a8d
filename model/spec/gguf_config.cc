// SPDX-License-Identifier: Apache-2.0
#include "model/spec/gguf_config.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "base/text.h"
#include "formats/gguf_tokens.h"
#include "model/spec/families.h"
#include "tokenizer/gguf_rules.h"

namespace retort {
namespace {

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

std::string GgufKeys::Spelt(std::string_view key) const { return Cat(architecture_, ".", key); }
bool GgufKeys::Has(std::string_view key) const {
  return file_.metadata.Find(Spelt(key)) != nullptr;
}
int64_t GgufKeys::AnyInt(std::string_view key) const { return file_.metadata.Int(Spelt(key)); }
double GgufKeys::AnyNumber(std::string_view key) const { return file_.metadata.Number(Spelt(key)); }
std::string GgufKeys::Text(std::string_view key, std::string_view fallback) const {
  return file_.metadata.Text(Spelt(key), fallback);
}
bool GgufKeys::HasPart(int64_t layer, std::string_view part) const {
  return HasTensor(Cat("blk.", layer, ".", part));
}

DenseConfig ReadDense(const GgufFile& file) {
  const GgufKeys keys(file);
  DenseConfig c;
  c.family.clear();
  c.layers = keys.Int("block_count", kLayerCounts);
  c.width = keys.Int("embedding_length", kWidths);
  c.heads = keys.Int("attention.head_count", kHeadCounts);
  c.kv_heads = keys.Int("attention.head_count_kv", kHeadCounts, c.heads);
  c.head_dim = keys.Int("attention.key_length", kHeadWidths, c.width / c.heads);
  c.states_head_dim = keys.Has("attention.key_length");
  c.ffn = keys.Int("feed_forward_length", kMlpWidths);
  c.max_positions = keys.Int("context_length", kPositions, c.max_positions);
  const char* epsilon = "attention.layer_norm_rms_epsilon";
  if (!keys.Has(epsilon) && keys.Has("attention.layer_norm_epsilon"))
    epsilon = "attention.layer_norm_epsilon";
  c.norm_epsilon = keys.Number(epsilon, kEpsilons);
  c.rotary_base = keys.Number("rope.freq_base", kRopeBases, c.rotary_base);
  c.window = keys.Int("attention.sliding_window", kWindows, 0);
  c.vocab = CheckRange(VocabOf(file), kVocabSizes, keys.where(), "the vocabulary's size");
  c.qkv_bias = keys.HasPart(0, "attn_q.bias");
  c.o_bias = keys.HasPart(0, "attn_output.bias");
  c.mlp_bias = keys.HasPart(0, "ffn_up.bias");
  c.qk_norm = keys.HasPart(0, "attn_q_norm.weight") ? QkNorm::kHeads : QkNorm::kNone;
  c.tied = !keys.HasTensor("output.weight");
  c.rotary_dims = keys.Int("rope.dimension_count", {2, c.head_dim}, c.head_dim);
  c.rotary = ReadRopeScaling(file, c.rotary_dims);
  const GgufTokens tokens = ReadGgufTokens(file.metadata, keys.where());
  c.bos = tokens.bos, c.ends = tokens.ends;
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
  // That of the last layer that has one: global layers come last.
  const auto turned = std::find_if(a.blocks.rbegin(), a.blocks.rend(), [](const BlockSpec& block) {
    return block.attention.rope != kNoRope;
  });
  RETORT_CHECK(turned != a.blocks.rend(), "no layer has a rope");
  const RopeSpec& rope = a.ropes[static_cast<size_t>(turned->attention.rope)];
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
  count("feed_forward_length", a.dense_width());
  count("attention.head_count", attention.heads);
  count("attention.head_count_kv", attention.kv_heads);
  if (a.states_head_dim || attention.head_dim * attention.heads != a.width) {
    count("attention.key_length", attention.head_dim);
    count("attention.value_length", attention.head_dim);
  }
  number(a.norm.kind == NormSpec::Kind::kRms ? "attention.layer_norm_rms_epsilon"
                                             : "attention.layer_norm_epsilon",
         a.norm.epsilon);
  if (rope.dims != attention.head_dim) count("rope.dimension_count", rope.dims);
  number("rope.freq_base", rope.base);
  for (const BlockSpec& block : a.blocks) {
    if (block.attention.window == 0) continue;
    count("attention.sliding_window", block.attention.window);
    break;
  }
  WriteRopeScaling(rope, architecture, where, m);
}

void WriteSizes(const Architecture& a, GgufMetadata& m) {
  const std::string architecture(FamilyOf(a).gguf_architecture);
  m.Set(architecture + ".vocab_size", static_cast<uint32_t>(a.vocab));
  m.Set(architecture + ".rope.dimension_count", static_cast<uint32_t>(a.ropes.front().dims));
}

void EraseUsual(const Architecture& a, GgufMetadata& m) {
  const std::string architecture(FamilyOf(a).gguf_architecture);
  const AttentionSpec& attention = a.blocks.front().attention;
  if (a.ropes.front().base == 10000) m.Erase(architecture + ".rope.freq_base");
  if (attention.head_dim * attention.heads != a.width) return;
  m.Erase(architecture + ".attention.key_length");
  m.Erase(architecture + ".attention.value_length");
}

std::vector<bool> ReadSlidingPattern(const GgufKeys& keys, int64_t layers, int64_t usual) {
  const int64_t pattern = keys.Int("attention.sliding_window_pattern", kPatterns, usual);
  std::vector<bool> sliding(static_cast<size_t>(layers));
  for (int64_t i = 0; i < layers; ++i) sliding[static_cast<size_t>(i)] = i % pattern < pattern - 1;
  return sliding;
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
  const Family& family = FamilyOfGguf(file.metadata.Text("general.architecture"), where);
  CheckGgufKeys(file);
  Architecture a = family.read_gguf(file);
  Validate(a, where);
  return a;
}

void ConfigToGguf(const Architecture& a, const std::string& where, GgufMetadata& metadata) {
  FamilyOf(a).write_gguf(a, where, metadata);
}

}  // namespace retort
