// SPDX-License-Identifier: Apache-2.0
#include "model/spec/config.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "base/error.h"

namespace retort {
namespace {

struct Family {
  const char* name;
  const char* architecture;
  bool qkv_bias;  // always there, whatever the config says
  bool qk_norm;
  bool uses_window;  // sliding_window holds unless use_sliding_window says no
};
constexpr Family kFamilies[] = {
    {"llama", "LlamaForCausalLM", false, false, false},
    {"mistral", "MistralForCausalLM", false, false, true},
    {"qwen2", "Qwen2ForCausalLM", true, false, false},
    {"qwen3", "Qwen3ForCausalLM", false, true, false},
};

const Family& FamilyNamed(const std::string& name, const std::string& where) {
  std::string known;
  for (const Family& f : kFamilies) {
    if (name == f.name) return f;
    known += Cat(known.empty() ? "" : ", ", f.name);
  }
  throw InputError(where, ": model_type '", name, "' is not supported; supported: ", known);
}

RotaryScaling ReadScaling(const Json& config, const std::string& where) {
  RotaryScaling out;
  const auto it = config.find("rope_scaling");
  const auto newer = config.find("rope_parameters");
  const Json* scaling = it != config.end() && it->is_object()         ? &*it
                        : newer != config.end() && newer->is_object() ? &*newer
                                                                      : nullptr;
  if (!scaling) return out;
  const std::string at = Cat(where, ": rope_scaling");
  const std::string type =
      GetString(*scaling, "rope_type", at, GetString(*scaling, "type", at, "default"));
  if (type == "default") return out;
  out.factor = GetNumber(*scaling, "factor", at);
  if (type == "linear") {
    out.kind = RotaryScaling::Kind::kLinear;
  } else if (type == "llama3") {
    out.kind = RotaryScaling::Kind::kLlama3;
    out.low_freq_factor = GetNumber(*scaling, "low_freq_factor", at);
    out.high_freq_factor = GetNumber(*scaling, "high_freq_factor", at);
    out.original_max_positions = GetInt(*scaling, "original_max_position_embeddings", at);
  } else {
    throw InputError(at, " of type '", type,
                     "' is not supported; supported: default, linear, llama3");
  }
  if (!(out.factor >= 1)) throw InputError(at, ": factor must be at least 1");
  return out;
}

void ReadEnds(const Json& config, const std::string& where, ModelConfig& out) {
  const auto it = config.find("eos_token_id");
  if (it == config.end() || it->is_null()) return;
  out.ends.clear();
  const Json list = it->is_array() ? *it : Json::array({*it});
  for (const Json& id : list) {
    if (!id.is_number_integer())
      throw InputError(where, ": 'eos_token_id' must be an id or a list of ids");
    out.ends.push_back(id.get<int32_t>());
  }
}

}  // namespace

ModelConfig ReadConfig(const Path& folder) {
  const Path path = folder / "config.json";
  const std::string where = path.string();
  const Json j = ReadJson(path);
  ModelConfig c;
  c.family = GetString(j, "model_type", where);
  const Family& family = FamilyNamed(c.family, where);
  c.layers = GetInt(j, "num_hidden_layers", where);
  c.width = GetInt(j, "hidden_size", where);
  c.heads = GetInt(j, "num_attention_heads", where);
  c.kv_heads = GetInt(j, "num_key_value_heads", where, c.heads);
  c.head_dim = GetInt(j, "head_dim", where, c.heads > 0 ? c.width / c.heads : 0);
  c.ffn = GetInt(j, "intermediate_size", where);
  c.vocab = GetInt(j, "vocab_size", where);
  c.max_positions = GetInt(j, "max_position_embeddings", where, c.max_positions);
  c.norm_epsilon = GetNumber(j, "rms_norm_eps", where, c.norm_epsilon);
  c.rotary = ReadScaling(j, where);
  c.rotary_base = GetNumber(j, "rope_theta", where, c.rotary_base);
  if (const auto it = j.find("rope_parameters"); it != j.end() && it->is_object()) {
    c.rotary_base = GetNumber(*it, "rope_theta", where, c.rotary_base);
  }
  const bool bias = GetBool(j, "attention_bias", where, false);
  c.qkv_bias = family.qkv_bias || bias;
  c.o_bias = bias;
  c.mlp_bias = GetBool(j, "mlp_bias", where, false);
  c.qk_norm = family.qk_norm;
  c.tied = GetBool(j, "tie_word_embeddings", where, false);
  if (GetBool(j, "use_sliding_window", where, family.uses_window)) {
    if (!family.uses_window)
      throw InputError(where, ": 'use_sliding_window' is not supported for ", c.family);
    c.window = GetInt(j, "sliding_window", where, 0);
  }
  if (const std::string act = GetString(j, "hidden_act", where, "silu"); act != "silu") {
    throw InputError(where, ": hidden_act '", act, "' is not supported; supported: silu");
  }
  c.bos = static_cast<int32_t>(GetInt(j, "bos_token_id", where, -1));
  ReadEnds(j, where, c);
  if (const Path generation = folder / "generation_config.json";
      std::filesystem::exists(generation)) {
    ReadEnds(ReadJson(generation), generation.string(), c);
  }
  ValidateConfig(c, where);
  return c;
}

void ValidateConfig(const ModelConfig& c, const std::string& where) {
  const auto bounded = [&](const char* name, int64_t value, int64_t most) {
    if (value < 1 || value > most) {
      throw InputError(where, ": ", name, " is ", value, "; must be in 1 ... ", most);
    }
  };
  bounded("num_hidden_layers", c.layers, 4096);
  bounded("hidden_size", c.width, 1 << 20);
  bounded("num_attention_heads", c.heads, 1 << 14);
  bounded("num_key_value_heads", c.kv_heads, c.heads);
  bounded("head_dim", c.head_dim, 1024);
  bounded("intermediate_size", c.ffn, 1 << 22);
  bounded("vocab_size", c.vocab, 1 << 24);
  bounded("max_position_embeddings", c.max_positions, int64_t{1} << 30);
  if (c.heads % c.kv_heads != 0) {
    throw InputError(where, ": num_attention_heads ", c.heads,
                     " is no multiple of num_key_value_heads ", c.kv_heads);
  }
  if (c.head_dim % 2 != 0)
    throw InputError(where, ": head_dim ", c.head_dim, " is odd; rotary pairs need an even one");
  if (c.window < 0) throw InputError(where, ": sliding_window is negative");
  if (!(c.norm_epsilon > 0)) throw InputError(where, ": rms_norm_eps must be above 0");
  if (!(c.rotary_base > 0)) throw InputError(where, ": rope_theta must be above 0");
}

Json ConfigJson(const ModelConfig& c, const std::string& torch_dtype) {
  Json j = {
      {"architectures", Json::array({FamilyNamed(c.family, "config").architecture})},
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
  if (c.rotary.kind == RotaryScaling::Kind::kLinear) {
    j["rope_scaling"] = {{"rope_type", "linear"}, {"factor", c.rotary.factor}};
  } else if (c.rotary.kind == RotaryScaling::Kind::kLlama3) {
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

std::vector<float> RotaryFactors(const ModelConfig& c) {
  const RotaryScaling& s = c.rotary;
  std::vector<float> factors(static_cast<size_t>(c.head_dim / 2), 1.0f);
  if (s.kind == RotaryScaling::Kind::kFactors) return s.factors;
  if (s.kind != RotaryScaling::Kind::kLlama3) return factors;
  const auto original = static_cast<double>(s.original_max_positions);
  for (size_t i = 0; i < factors.size(); ++i) {
    const double frequency =
        std::pow(c.rotary_base, -2.0 * static_cast<double>(i) / static_cast<double>(c.head_dim));
    const double wavelength = 2 * std::numbers::pi / frequency;
    if (wavelength < original / s.high_freq_factor) continue;
    if (wavelength > original / s.low_freq_factor) {
      factors[i] = static_cast<float>(s.factor);
    } else {
      const double smooth =
          (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
      factors[i] = static_cast<float>(1 / ((1 - smooth) / s.factor + smooth));
    }
  }
  return factors;
}

std::vector<double> RotaryFrequencies(const ModelConfig& c) {
  const std::vector<float> factors = RotaryFactors(c);
  const double linear = c.rotary.kind == RotaryScaling::Kind::kLinear ? c.rotary.factor : 1;
  std::vector<double> out(factors.size());
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] =
        std::pow(c.rotary_base, -2.0 * static_cast<double>(i) / static_cast<double>(c.head_dim)) /
        (static_cast<double>(factors[i]) * linear);
  }
  return out;
}

}  // namespace retort
