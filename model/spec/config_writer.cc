// SPDX-License-Identifier: Apache-2.0
#include "model/spec/config_writer.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "model/spec/families.h"

namespace retort {
namespace {

using Kind = RopeScaling::Kind;

// A share of `width` whose product with it is `dims` again, rounded down as readers do.
double ShareOf(int64_t dims, int64_t width) {
  const double share = static_cast<double>(dims) / static_cast<double>(width);
  const bool exact = static_cast<int64_t>(static_cast<double>(width) * share) == dims;
  return exact ? share : (static_cast<double>(dims) + 0.5) / static_cast<double>(width);
}

Json FactorsJson(const std::vector<float>& factors) {
  Json list = Json::array();
  for (const float factor : factors) list.push_back(NumberJson(factor));
  return list;
}

// What readers take for the amplitude where attention_factor is not stated.
double UsualAmplitude(const RopeScaling& s, int64_t max_positions) {
  if (s.kind == Kind::kYarn) return s.factor > 1 ? 0.1 * std::log(s.factor) + 1 : 1;
  if (s.kind != Kind::kLongRope) return 1;
  const auto original = static_cast<double>(s.original_max_positions);
  const double factor = static_cast<double>(max_positions) / original;
  return factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(original));
}

Json LongRopeJson(const RopeScaling& s) {
  return {{"rope_type", "longrope"},
          {"type", "longrope"},
          {"short_factor", FactorsJson(s.factors)},
          {"long_factor", FactorsJson(s.long_factors)},
          {"original_max_position_embeddings", s.original_max_positions}};
}

// Divisors without a name: those of short and of long texts alike.
Json PlainFactorsJson(const RopeSpec& rope, int64_t max_positions) {
  RopeScaling s = rope.scaling;
  s.long_factors = s.factors, s.original_max_positions = max_positions;
  Json j = LongRopeJson(s);
  j["attention_factor"] = NumberJson(s.amplitude);
  return j;
}

Json Llama3Json(const RopeScaling& s) {
  return {{"rope_type", "llama3"},
          {"factor", NumberJson(s.factor)},
          {"low_freq_factor", NumberJson(s.low_freq_factor)},
          {"high_freq_factor", NumberJson(s.high_freq_factor)},
          {"original_max_position_embeddings", s.original_max_positions}};
}

Json YarnJson(const RopeScaling& s) {
  Json j = {{"rope_type", "yarn"},
            {"factor", NumberJson(s.factor)},
            {"original_max_position_embeddings", s.original_max_positions}};
  if (s.beta_fast != 32) j["beta_fast"] = NumberJson(s.beta_fast);
  if (s.beta_slow != 1) j["beta_slow"] = NumberJson(s.beta_slow);
  if (!s.truncate) j["truncate"] = false;
  return j;
}

Json ScalingJson(const RopeSpec& rope, int64_t max_positions) {
  const RopeScaling& s = rope.scaling;
  Json j;
  switch (s.kind) {
    case Kind::kNone:
      return j;
    case Kind::kLinear:
    case Kind::kDynamic:
      j = {{"rope_type", s.kind == Kind::kLinear ? "linear" : "dynamic"},
           {"factor", NumberJson(s.factor)}};
      break;
    case Kind::kLlama3:
      j = Llama3Json(s);
      break;
    case Kind::kFactors: {
      const auto known = Llama3Settings(rope);
      if (!known) return PlainFactorsJson(rope, max_positions);
      j = Llama3Json(*known);
      break;
    }
    case Kind::kYarn:
      j = YarnJson(s);
      break;
    case Kind::kLongRope:
      j = LongRopeJson(s);
      break;
  }
  if (std::abs(s.amplitude / UsualAmplitude(s, max_positions) - 1) > 1e-6)
    j["attention_factor"] = NumberJson(s.amplitude);
  return j;
}

}  // namespace

Json NumberJson(double value) {
  char text[32];
  const auto shortest = std::to_chars(text, text + sizeof text, static_cast<float>(value));
  double out = value;
  std::from_chars(text, shortest.ptr, out);
  return out;
}

Json IntegerOrNumberJson(double value) {
  const Json number = NumberJson(value);
  const auto whole = static_cast<int64_t>(std::llround(value));
  return number == static_cast<double>(whole) ? Json(whole) : number;
}

Json SoftCapJson(double cap) { return cap == 0 ? Json() : NumberJson(cap); }

Json WindowJson(const Architecture& a, const std::string& where) {
  int64_t window = 0;
  for (const BlockSpec& block : a.blocks) {
    const int64_t own = block.attention.window;
    if (own == 0) continue;
    if (window != 0 && own != window)
      throw InputError(where, ": windows of ", window, " and of ", own,
                       " cannot be said by one 'sliding_window'");
    window = own;
  }
  return window == 0 ? Json() : Json(window);
}

Json LayerTypesJson(const Architecture& a) {
  Json types = Json::array();
  for (const BlockSpec& block : a.blocks)
    types.push_back(block.attention.window > 0 ? "sliding_attention" : "full_attention");
  return types;
}

void WriteAttentionBias(const Architecture& a, const std::string& where, Json& config) {
  const AttentionSpec& attention = a.blocks.front().attention;
  if (attention.qkv_bias != attention.o_bias)
    throw InputError(where, ": biases on ", attention.qkv_bias ? "q, k and v" : "o",
                     " alone cannot be said by a config.json of ", a.family);
  config["attention_bias"] = attention.qkv_bias;
}

void WriteRope(const RopeSpec& rope, int64_t width, const Architecture& a, Json& config) {
  config["rope_theta"] = NumberJson(rope.base);
  if (rope.dims != width) config["partial_rotary_factor"] = ShareOf(rope.dims, width);
  const Json scaling = ScalingJson(rope, a.max_positions);
  if (!scaling.is_null()) config["rope_scaling"] = scaling;
}

void WriteDense(const Architecture& a, const std::string& where, Json& config) {
  const AttentionSpec& attention = a.blocks.front().attention;
  for (const BlockSpec& block : a.blocks) {
    const AttentionSpec& own = block.attention;
    if (own.heads != attention.heads || own.kv_heads != attention.kv_heads ||
        own.head_dim != attention.head_dim || own.scale != attention.scale)
      throw InputError(where, ": its layers' attention differs, which a config.json of ", a.family,
                       " cannot say");
  }
  config["num_hidden_layers"] = a.layers();
  config["hidden_size"] = a.width;
  config["num_attention_heads"] = attention.heads;
  config["num_key_value_heads"] = attention.kv_heads;
  if (a.states_head_dim || attention.head_dim * attention.heads != a.width)
    config["head_dim"] = attention.head_dim;
  config["intermediate_size"] = a.dense_width();
  config["vocab_size"] = a.vocab;
  config["max_position_embeddings"] = a.max_positions;
  config["rms_norm_eps"] = NumberJson(a.norm.epsilon);
  config["hidden_act"] = "silu";
  config["tie_word_embeddings"] = a.head.tied;
  WriteRope(a.ropes.front(), attention.head_dim, a, config);
}

Json ConfigJson(const Architecture& a, const std::string& torch_dtype, const std::string& where) {
  const Family& family = FamilyOf(a);
  Json config = {{"architectures", Json::array({family.model_class})}, {"model_type", a.family}};
  family.write(a, where, config);
  // Stated where there is none, too: the families' defaults in transformers are other ids.
  config["bos_token_id"] = a.bos >= 0 ? Json(a.bos) : Json();
  config["eos_token_id"] = a.ends.empty()       ? Json()
                           : a.ends.size() == 1 ? Json(a.ends.front())
                                                : Json(a.ends);
  config["pad_token_id"] = nullptr;
  config["torch_dtype"] = torch_dtype;
  return config;
}

}  // namespace retort
