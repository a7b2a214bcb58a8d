// SPDX-License-Identifier: Apache-2.0
#include "runner/api/openai/sampling.h"

#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "runner/api/fields.h"

namespace retort {
namespace {

constexpr size_t kMostStops = 16, kMostStopBytes = 1000, kMostStopIds = 256;
constexpr double kMostBias = 100;     // as OpenAI's API has it
constexpr int64_t kRepeatLastN = 64;  // llama.cpp's and Ollama's, for their own name of a penalty

// One text or a list of them.
std::vector<std::string> TextsField(const Json& object, const std::string& name) {
  const Json& value = MemberOf(object, name);
  std::vector<std::string> texts;
  if (value.is_null()) return texts;
  const auto add = [&](const Json& text) {
    if (!text.is_string() || text.get_ref<const std::string&>().empty())
      throw BadValue(name, "must be a text or a list of texts, none of them empty");
    texts.push_back(text.get<std::string>());
    if (texts.back().size() > kMostStopBytes)
      throw BadValue(name, Cat("may hold texts of at most ", kMostStopBytes, " bytes"));
  };
  if (!value.is_array()) {
    add(value);
    return texts;
  }
  if (value.size() > kMostStops)
    throw BadValue(name, Cat("may hold at most ", kMostStops, " texts"));
  for (const Json& text : value) add(text);
  return texts;
}

std::vector<int32_t> StopTokenIds(const Json& object) {
  const std::string name = "stop_token_ids";
  const Json& value = MemberOf(object, name);
  std::vector<int32_t> ids;
  if (value.is_null()) return ids;
  if (!value.is_array() || value.size() > kMostStopIds)
    throw BadValue(name, Cat("must be a list of at most ", kMostStopIds, " token ids"));
  ids.reserve(value.size());
  for (const Json& one : value) {
    const auto id = IntegerIn(one);
    if (!id || *id < 0 || *id > INT32_MAX) throw BadValue(name, "must hold token ids");
    ids.push_back(static_cast<int32_t>(*id));
  }
  return ids;
}

std::pair<int32_t, float> Bias(const Json& token, const Json& bias) {
  const auto id = IntegerIn(token);
  if (!id || *id < 0 || *id > INT32_MAX)
    throw BadValue("logit_bias", "names tokens by their ids; texts are not supported");
  if (bias == false) return {static_cast<int32_t>(*id), -std::numeric_limits<float>::infinity()};
  if (!bias.is_number() || std::abs(bias.get<double>()) > kMostBias) {
    throw BadValue("logit_bias", Cat("must hold numbers within ", -kMostBias, " and ", kMostBias));
  }
  return {static_cast<int32_t>(*id), bias.get<float>()};
}

// OpenAI's {"ID": BIAS}, or llama.cpp's [[ID, BIAS or false]].
std::vector<std::pair<int32_t, float>> LogitBias(const Json& object) {
  const Json& value = MemberOf(object, "logit_bias");
  if (value.is_null()) return {};
  if (!value.is_object() && !value.is_array())
    throw BadValue("logit_bias", "must be an object of token ids and biases");
  std::map<int32_t, float> sums;  // the biases of one token add up
  const auto add = [&sums](const std::pair<int32_t, float>& one) {
    sums[one.first] += one.second;
    if (sums.size() > kMostBiases)
      throw BadValue("logit_bias", Cat("may name at most ", kMostBiases, " tokens"));
  };
  for (const auto& [key, bias] : value.items()) {
    if (value.is_object()) {
      const bool digits = !key.empty() && key.size() < 11 &&
                          key.find_first_not_of("0123456789") == std::string::npos;
      add(Bias(digits ? Json(std::stoll(key)) : Json(), bias));
    } else if (bias.is_array() && bias.size() == 2) {
      add(Bias(bias[0], bias[1]));
    } else {
      throw BadValue("logit_bias", "must hold pairs of a token id and a bias");
    }
  }
  return {sums.begin(), sums.end()};
}

// llama.cpp and Ollama have another name for it, and another reach where none is given.
void ReadRepetition(const Json& object, SamplingOptions& s) {
  const bool own = !MemberOf(object, "repeat_penalty").is_null();
  if (own && !MemberOf(object, "repetition_penalty").is_null())
    throw BadValue("repeat_penalty", "cannot go with 'repetition_penalty'; they are one");
  s.repetition_penalty = NumberField(object, own ? "repeat_penalty" : "repetition_penalty", 1);
  s.repeat_last_n = IntegerField(object, "repeat_last_n", own ? kRepeatLastN : -1);
}

void ReadMirostat(const Json& object, SamplingOptions& s) {
  const int64_t version = IntegerField(object, "mirostat", 0);
  if (version != 0 && version != 2)
    throw ApiError(400, "'mirostat' is not supported, but for 0 and 2", "mirostat",
                   "unsupported_value");
  s.mirostat = version == 2;
  s.mirostat_tau = NumberField(object, "mirostat_tau", s.mirostat_tau);
  s.mirostat_eta = NumberField(object, "mirostat_eta", s.mirostat_eta);
}

void ReadDry(const Json& object, SamplingOptions& s) {
  s.dry_multiplier = NumberField(object, "dry_multiplier", s.dry_multiplier);
  s.dry_base = NumberField(object, "dry_base", s.dry_base);
  s.dry_allowed_length = IntegerField(object, "dry_allowed_length", s.dry_allowed_length);
  s.dry_penalty_last_n = IntegerField(object, "dry_penalty_last_n", s.dry_penalty_last_n);
  if (!MemberOf(object, "dry_sequence_breakers").is_null())
    s.dry_sequence_breakers = TextsField(object, "dry_sequence_breakers");
}

}  // namespace

const std::vector<std::string>& SamplingFields() {
  static const auto* names = new std::vector<std::string>{"temperature",
                                                          "top_k",
                                                          "top_p",
                                                          "min_p",
                                                          "typical_p",
                                                          "top_n_sigma",
                                                          "xtc_probability",
                                                          "xtc_threshold",
                                                          "dynatemp_range",
                                                          "dynatemp_exponent",
                                                          "mirostat",
                                                          "mirostat_tau",
                                                          "mirostat_eta",
                                                          "repeat_penalty",
                                                          "repetition_penalty",
                                                          "repeat_last_n",
                                                          "presence_penalty",
                                                          "frequency_penalty",
                                                          "dry_multiplier",
                                                          "dry_base",
                                                          "dry_allowed_length",
                                                          "dry_penalty_last_n",
                                                          "logit_bias",
                                                          "dry_sequence_breakers",
                                                          "seed",
                                                          "stop",
                                                          "stop_token_ids",
                                                          "min_tokens",
                                                          "ignore_eos"};
  return *names;
}

SamplingOptions ReadSampling(const Json& object, uint64_t random_seed) {
  SamplingOptions s;
  s.temperature = NumberField(object, "temperature", s.temperature);
  s.top_k = IntegerField(object, "top_k", 0);
  if (s.top_k == -1) s.top_k = 0;  // vLLM's "off"
  s.top_p = NumberField(object, "top_p", s.top_p);
  s.min_p = NumberField(object, "min_p", s.min_p);
  s.typical_p = NumberField(object, "typical_p", s.typical_p);
  s.top_n_sigma = NumberField(object, "top_n_sigma", 0);
  if (s.top_n_sigma == -1) s.top_n_sigma = 0;  // llama.cpp's "off"
  s.xtc_probability = NumberField(object, "xtc_probability", s.xtc_probability);
  s.xtc_threshold = NumberField(object, "xtc_threshold", s.xtc_threshold);
  s.dynatemp_range = NumberField(object, "dynatemp_range", s.dynatemp_range);
  s.dynatemp_exponent = NumberField(object, "dynatemp_exponent", s.dynatemp_exponent);
  ReadMirostat(object, s);
  ReadRepetition(object, s);
  s.presence_penalty = NumberField(object, "presence_penalty", 0);
  s.frequency_penalty = NumberField(object, "frequency_penalty", 0);
  ReadDry(object, s);
  s.logit_bias = LogitBias(object);
  s.seed = MemberOf(object, "seed").is_null()
               ? random_seed
               : static_cast<uint64_t>(IntegerField(object, "seed", 0));
  s.min_tokens = IntegerField(object, "min_tokens", 0);
  s.ignore_eos = FlagField(object, "ignore_eos");
  s.stop = TextsField(object, "stop");
  s.stop_token_ids = StopTokenIds(object);
  return s;
}

void CheckApiSampling(const SamplingOptions& options) {
  try {
    CheckSampling(options);
  } catch (const Error& e) {  // its first word is the field's name
    const std::string what = e.what();
    throw ApiError(400, what, what.substr(0, what.find(' ')), "invalid_value");
  }
}

int64_t TokensField(const Json& object, const std::string& name, int64_t fallback) {
  const int64_t tokens = IntegerField(object, name, fallback);
  return tokens == -1 ? INT32_MAX : tokens;
}

}  // namespace retort
