// SPDX-License-Identifier: Apache-2.0
#include "model/spec/config_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "model/spec/families.h"

namespace retort {
namespace {

constexpr std::string_view kFullAttention = "full_attention";

int64_t KeyHeads(const ConfigReader& j, int64_t heads, int64_t usual) {
  if (usual == 0 || !j.Lacks("num_key_value_heads"))
    return j.Int("num_key_value_heads", kHeadCounts, heads);
  if (usual <= heads) return usual;
  throw InputError(j.where(), ": 'num_key_value_heads' is missing, which means ", usual, " for ",
                   j.Text("model_type", ""), ", more than the ", heads,
                   " of num_attention_heads; state it");
}

}  // namespace

int64_t ConfigReader::AnyInt(std::string_view key) const { return GetInt(*object_, key, where_); }
double ConfigReader::AnyNumber(std::string_view key) const {
  return GetNumber(*object_, key, where_);
}
std::string ConfigReader::Spelt(std::string_view key) const { return Cat("'", key, "'"); }
bool ConfigReader::Bool(std::string_view key, bool fallback) const {
  return GetBool(*object_, key, where_, fallback);
}
std::string ConfigReader::Text(std::string_view key, std::string_view fallback) const {
  return GetString(*object_, key, where_, fallback);
}

bool ConfigReader::Has(std::string_view key) const {
  const auto at = object_->find(key);
  return at != object_->end() && !at->is_null();
}

bool ConfigReader::Lacks(std::string_view key) const { return !object_->contains(key); }

std::vector<std::string> ConfigReader::Texts(std::string_view key) const {
  std::vector<std::string> out;
  if (!Has(key)) return out;
  const Json& list = *object_->find(key);
  for (const Json& one : list) {
    if (!list.is_array() || !one.is_string())
      throw InputError(where_, ": '", key, "' must be a list of texts");
    out.push_back(one.get<std::string>());
  }
  return out;
}

std::vector<int64_t> ConfigReader::Ints(std::string_view key, IntRange range) const {
  std::vector<int64_t> out;
  if (!Has(key)) return out;
  const Json& list = *object_->find(key);
  for (const Json& one : list) {
    if (!list.is_array() || !one.is_number_integer())
      throw InputError(where_, ": '", key, "' must be a list of integers");
    // What is beyond int64 is beyond every range.
    const bool huge = one.is_number_unsigned() && one.get<uint64_t>() > uint64_t{INT64_MAX};
    out.push_back(CheckRange(huge ? INT64_MAX : one.get<int64_t>(), range, where_, Spelt(key)));
  }
  return out;
}

std::vector<double> ConfigReader::Numbers(std::string_view key, NumberRange range) const {
  std::vector<double> out;
  if (!Has(key)) return out;
  const Json& list = *object_->find(key);
  for (const Json& one : list) {
    if (!list.is_array() || !one.is_number())
      throw InputError(where_, ": '", key, "' must be a list of numbers");
    out.push_back(CheckRange(one.get<double>(), range, where_, Spelt(key)));
  }
  return out;
}

std::vector<int32_t> ConfigReader::TokenIds(std::string_view key, int64_t vocab) const {
  std::vector<int32_t> ids;
  std::set<int32_t> known;
  const auto add = [&](int64_t id) {
    const int32_t checked = CheckTokenId(id, vocab, where_, Spelt(key));
    if (checked >= 0 && known.insert(checked).second) ids.push_back(checked);
  };
  if (Has(key) && object_->find(key)->is_array()) {
    for (const int64_t id : Ints(key, {INT64_MIN, INT64_MAX})) add(id);
  } else if (Has(key)) {
    add(AnyInt(key));
  }
  return ids;
}

ConfigReader ConfigReader::Section(std::string_view key) const {
  const Json& section = *object_->find(key);
  if (!section.is_object()) throw InputError(where_, ": '", key, "' must be an object");
  return {section, Cat(where_, ": ", key)};
}

DenseConfig ReadDense(const ConfigReader& j, const DenseDefaults& d) {
  DenseConfig c;
  c.family = j.Text("model_type", "");
  c.layers = j.Int("num_hidden_layers", kLayerCounts);
  c.width = j.Int("hidden_size", kWidths);
  c.heads = j.Int("num_attention_heads", kHeadCounts);
  c.kv_heads = KeyHeads(j, c.heads, d.kv_heads);
  const bool usual_dim = d.head_dim > 0 && j.Lacks("head_dim");
  c.head_dim = usual_dim ? d.head_dim : j.Int("head_dim", kHeadWidths, c.width / c.heads);
  c.states_head_dim = j.Has("head_dim");
  c.ffn = j.Int("intermediate_size", kMlpWidths);
  c.vocab = j.Int("vocab_size", kVocabSizes);
  c.max_positions = j.Int("max_position_embeddings", kPositions, d.rope.max_positions);
  c.norm_epsilon = j.Number("rms_norm_eps", kEpsilons, d.norm_epsilon);
  const RopeSpec rope = ReadRope(j, c.head_dim, d.rope, kFullAttention);
  c.rotary_base = rope.base, c.rotary_dims = rope.dims, c.rotary = rope.scaling;
  c.tied = j.Bool("tie_word_embeddings", d.tied);
  c.bos = j.TokenId("bos_token_id", c.vocab);
  c.ends = j.TokenIds("eos_token_id", c.vocab);
  return c;
}

Activation ReadActivation(const ConfigReader& j, Activation fallback) {
  const std::string name = j.Text("hidden_activation", j.Text("hidden_act", ""));
  if (name.empty()) return fallback;
  if (name == "silu") return Activation::kSilu;
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_pytorch_tanh") return Activation::kGeluTanh;
  throw InputError(j.where(), ": hidden_act ", Quoted(name),
                   " is not supported; supported: silu, gelu, gelu_pytorch_tanh");
}

void RequireSilu(const ConfigReader& j) {
  if (ReadActivation(j, Activation::kSilu) == Activation::kSilu) return;
  throw InputError(j.where(), ": hidden_act '", j.Text("hidden_act", ""),
                   "' is not supported; supported: silu");
}

std::vector<bool> ReadSliding(const ConfigReader& j, int64_t layers, int64_t pattern) {
  std::vector<bool> sliding;
  for (const std::string& type : j.Texts("layer_types")) {
    if (type != "sliding_attention" && type != kFullAttention) {
      throw InputError(j.where(), ": layer type ", Quoted(type),
                       " is not supported; supported: sliding_attention, full_attention");
    }
    sliding.push_back(type == "sliding_attention");
  }
  if (!sliding.empty() && std::ssize(sliding) != layers) {
    throw InputError(j.where(), ": 'layer_types' names ", sliding.size(), " layers, the model has ",
                     layers);
  }
  for (int64_t layer = std::ssize(sliding); layer < layers; ++layer)
    sliding.push_back((layer + 1) % pattern != 0);
  return sliding;
}

int64_t ReadWindow(const ConfigReader& j, int64_t absent) {
  return j.Lacks("sliding_window") ? absent : j.Int("sliding_window", kWindows, 0);
}

void RefuseSliding(const ConfigReader& j, int64_t layers) {
  const auto sliding = ReadSliding(j, layers, 1);
  if (std::find(sliding.begin(), sliding.end(), true) == sliding.end()) return;
  throw InputError(j.where(), ": 'layer_types' has sliding_attention, which is not supported for ",
                   Quoted(j.Text("model_type", "")));
}

Architecture ReadConfig(const Path& folder) {
  const Path path = folder / "config.json";
  const Json j = ReadJson(path);
  const ConfigReader reader(j, path.string());
  const std::string type = GetString(j, "model_type", path.string());
  Architecture a = FamilyOfType(type, path.string()).read(reader);
  if (const Path generation = folder / "generation_config.json";
      std::filesystem::exists(generation)) {
    const Json g = ReadJson(generation);
    if (!g.is_object()) throw InputError(generation.string(), ": must be an object");
    const ConfigReader settings(g, generation.string());
    if (settings.Has("eos_token_id")) a.ends = settings.TokenIds("eos_token_id", a.vocab);
  }
  Validate(a, path.string());
  return a;
}

}  // namespace retort
