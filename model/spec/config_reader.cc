// SPDX-License-Identifier: Apache-2.0
#include "model/spec/config_reader.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/spec/families.h"

namespace retort {
namespace {

RopeScaling ReadScaling(const ConfigReader& rope) {
  RopeScaling out;
  const std::string type = rope.Text("rope_type", rope.Text("type", "default"));
  if (type == "default") return out;
  if (type == "linear") {
    out.kind = RopeScaling::Kind::kLinear;
  } else if (type == "llama3") {
    out.kind = RopeScaling::Kind::kLlama3;
    out.low_freq_factor = rope.Number("low_freq_factor");
    out.high_freq_factor = rope.Number("high_freq_factor");
    out.original_max_positions = rope.Int("original_max_position_embeddings");
    if (out.original_max_positions < 1 || !(out.high_freq_factor > out.low_freq_factor) ||
        !(out.low_freq_factor > 0))
      throw InputError(rope.where(),
                       ": its factors or original_max_position_embeddings are out of range");
  } else {
    throw InputError(rope.where(), " of type '", type,
                     "' is not supported; supported: default, linear, llama3");
  }
  out.factor = rope.Number("factor");
  return out;
}

std::vector<int32_t> ReadEnds(const ConfigReader& config, std::vector<int32_t> otherwise) {
  if (!config.Has("eos_token_id")) return otherwise;
  const Json& value = *config.object().find("eos_token_id");
  std::vector<int32_t> ends;
  for (const Json& id : value.is_array() ? value : Json::array({value})) {
    if (!id.is_number_integer())
      throw InputError(config.where(), ": 'eos_token_id' must be an id or a list of ids");
    const auto number = id.get<int64_t>();
    if (number < 0 || number > INT32_MAX)
      throw InputError(config.where(), ": 'eos_token_id' ", number, " is no token id");
    ends.push_back(static_cast<int32_t>(number));
  }
  return ends;
}

}  // namespace

int64_t ConfigReader::Int(std::string_view key) const { return GetInt(*object_, key, where_); }
int64_t ConfigReader::Int(std::string_view key, int64_t fallback) const {
  return GetInt(*object_, key, where_, fallback);
}
double ConfigReader::Number(std::string_view key) const { return GetNumber(*object_, key, where_); }
double ConfigReader::Number(std::string_view key, double fallback) const {
  return GetNumber(*object_, key, where_, fallback);
}
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

std::vector<int64_t> ConfigReader::Ints(std::string_view key) const {
  std::vector<int64_t> out;
  if (!Has(key)) return out;
  const Json& list = *object_->find(key);
  for (const Json& one : list) {
    if (!list.is_array() || !one.is_number_integer())
      throw InputError(where_, ": '", key, "' must be a list of integers");
    out.push_back(one.get<int64_t>());
  }
  return out;
}

ConfigReader ConfigReader::Section(std::string_view key) const {
  const Json& section = *object_->find(key);
  if (!section.is_object()) throw InputError(where_, ": '", key, "' must be an object");
  return {section, Cat(where_, ": ", key)};
}

int32_t ConfigReader::Id(std::string_view key) const {
  const int64_t id = Int(key, -1);
  if (id < -1 || id > INT32_MAX) throw InputError(where_, ": '", key, "' ", id, " is no token id");
  return static_cast<int32_t>(id);
}

DenseConfig ReadDense(const ConfigReader& j) {
  DenseConfig c;
  c.family = j.Text("model_type", "");
  c.layers = j.Int("num_hidden_layers");
  if (c.layers < 1 || c.layers > kMostLayers)
    throw InputError(j.where(), ": num_hidden_layers is ", c.layers, "; must be in 1 ... ",
                     kMostLayers);
  c.width = j.Int("hidden_size");
  c.heads = j.Int("num_attention_heads");
  c.kv_heads = j.Int("num_key_value_heads", c.heads);
  c.head_dim = j.Int("head_dim", c.heads > 0 ? c.width / c.heads : 0);
  c.ffn = j.Int("intermediate_size");
  c.vocab = j.Int("vocab_size");
  c.max_positions = j.Int("max_position_embeddings", c.max_positions);
  c.norm_epsilon = j.Number("rms_norm_eps", c.norm_epsilon);
  const RopeSpec rope = ReadRope(j, c.head_dim, c.rotary_base);
  c.rotary_base = rope.base, c.rotary = rope.scaling;
  c.tied = j.Bool("tie_word_embeddings", false);
  c.bos = j.Id("bos_token_id");
  c.ends = ReadEnds(j, {});
  return c;
}

RopeSpec ReadRope(const ConfigReader& j, int64_t dims, double base, std::string_view layer_type) {
  RopeSpec rope{j.Number("rope_theta", base), dims, {}};
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!j.Has(key)) continue;
    ConfigReader reader = j.Section(key);
    if (!layer_type.empty() && reader.Has(layer_type)) reader = reader.Section(layer_type);
    rope.base = reader.Number("rope_theta", rope.base);
    rope.scaling = ReadScaling(reader);
    break;
  }
  return rope;
}

Activation ReadActivation(const ConfigReader& j, Activation fallback) {
  const std::string name = j.Text("hidden_activation", j.Text("hidden_act", ""));
  if (name.empty()) return fallback;
  if (name == "silu") return Activation::kSilu;
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_pytorch_tanh") return Activation::kGeluTanh;
  throw InputError(j.where(), ": hidden_act '", name,
                   "' is not supported; supported: silu, gelu, gelu_pytorch_tanh");
}

std::vector<bool> ReadSliding(const ConfigReader& j, int64_t layers, bool (*usual)(int64_t layer)) {
  std::vector<bool> sliding;
  for (const std::string& type : j.Texts("layer_types")) {
    if (type != "sliding_attention" && type != "full_attention") {
      throw InputError(j.where(), ": layer type '", type,
                       "' is not supported; supported: sliding_attention, full_attention");
    }
    sliding.push_back(type == "sliding_attention");
  }
  if (!sliding.empty() && std::ssize(sliding) != layers) {
    throw InputError(j.where(), ": 'layer_types' names ", sliding.size(), " layers, the model has ",
                     layers);
  }
  for (int64_t layer = std::ssize(sliding); layer < layers; ++layer)
    sliding.push_back(usual(layer));
  return sliding;
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
    a.ends = ReadEnds(ConfigReader(g, generation.string()), a.ends);
  }
  Validate(a, path.string());
  return a;
}

Json ConfigJson(const DenseConfig& c, const std::string& torch_dtype) {
  Json j = {
      {"architectures", Json::array({FamilyOfType(c.family, "config").model_class})},
      {"model_type", c.family},
      {"num_hidden_layers", c.layers},
      {"hidden_size", c.width},
      {"num_attention_heads", c.heads},
      {"num_key_value_heads", c.kv_heads},
      {"head_dim", c.head_dim},
      {"intermediate_size", c.ffn},
      {"vocab_size", c.vocab},
      {"max_position_embeddings", c.max_positions},
      {"rms_norm_eps", c.norm_epsilon},
      {"rope_theta", c.rotary_base},
      {"hidden_act", "silu"},
      {"attention_bias", c.o_bias},
      {"mlp_bias", c.mlp_bias},
      {"tie_word_embeddings", c.tied},
      {"torch_dtype", torch_dtype},
  };
  if (c.window > 0) j["sliding_window"] = c.window;
  if (c.rotary.kind == RopeScaling::Kind::kLinear) {
    j["rope_scaling"] = {{"rope_type", "linear"}, {"factor", c.rotary.factor}};
  } else if (c.rotary.kind == RopeScaling::Kind::kLlama3) {
    j["rope_scaling"] = {{"rope_type", "llama3"},
                         {"factor", c.rotary.factor},
                         {"low_freq_factor", c.rotary.low_freq_factor},
                         {"high_freq_factor", c.rotary.high_freq_factor},
                         {"original_max_position_embeddings", c.rotary.original_max_positions}};
  }
  if (c.bos >= 0) j["bos_token_id"] = c.bos;
  if (c.ends.size() == 1) j["eos_token_id"] = c.ends[0];
  if (c.ends.size() > 1) j["eos_token_id"] = c.ends;
  return j;
}

}  // namespace retort
