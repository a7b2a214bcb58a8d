// SPDX-License-Identifier: Apache-2.0
// The requests of llama.cpp's own API as those of OpenAI's, which are read and checked as such.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "runner/http_message.h"
#include "runner/llama_cpp.h"
#include "runner/openai_fields.h"
#include "runner/openai_sampling.h"

namespace retort {
namespace {

constexpr size_t kMostFields = 64;

// Which place in the server answers, how it keeps its cache and how soon it gives up do not change
// an answer; what would is supported at these values only.
bool AsksNothing(const std::string& key, const Json& value) {
  static const auto* neutral = new Json{{"n_keep", {0, -1}},
                                        {"n_discard", {0}},
                                        {"n_indent", {0}},
                                        {"t_max_predict_ms", {0, -1}},
                                        {"min_keep", {0}},
                                        {"post_sampling_probs", {false}},
                                        {"return_progress", {false}},
                                        {"backend_sampling", {false}},
                                        {"lora", {Json::array()}},
                                        {"adaptive_target", {-1}}};
  for (const Json& one : MemberOf(*neutral, key)) {
    if (one == value) return true;
  }
  return key == "n_cache_reuse";
}

ApiError LlamaCppRefusal(const std::string& name) {
  return ApiError(400, Cat("'", Shortened(name), "' is not supported"), Shortened(name),
                  "unsupported_value");
}

// continues: the text follows others; else it begins a prompt. `name` is the member that it is of.
std::vector<int32_t> EncodedText(const std::string& text, bool continues, const std::string& name,
                                 const Tokenizer& tokenizer) {
  try {
    return continues ? tokenizer.Encode(text, true) : tokenizer.EncodePrompt(text);
  } catch (const Error& e) {
    if (e.kind() != Error::Kind::kInput) throw;
    throw ApiError(400, e.what(), name, "invalid_value");
  }
}

// {"prompt_string": TEXT}, where pictures could stand beside.
const Json& PlainPrompt(const Json& value) {
  if (!value.is_object()) return value;
  for (const auto& [key, member] : value.items()) {
    if (key != "prompt_string" && !member.is_null()) throw LlamaCppRefusal("prompt." + key);
  }
  return MemberOf(value, "prompt_string");
}

bool IsOnePrompt(const Json& value) {
  const auto number = [](const Json& one) { return one.is_number(); };
  return !value.is_array() || std::ranges::any_of(value, number);
}

// A text, ids, or ids with texts between them, which become ids.
Json OnePrompt(const Json& value, const Tokenizer& tokenizer) {
  const Json& prompt = PlainPrompt(value);
  const auto is_text = [](const Json& one) { return one.is_string(); };
  if (!prompt.is_array() || std::ranges::none_of(prompt, is_text)) return prompt;
  Json ids = Json::array();
  for (const Json& part : prompt) {
    if (!part.is_string()) {
      ids.push_back(part);
      continue;
    }
    for (const int32_t id : EncodedText(part.get<std::string>(), !ids.empty(), "prompt", tokenizer))
      ids.push_back(id);
  }
  return ids;
}

Json Prompts(const Json& value, const Tokenizer& tokenizer) {
  if (IsOnePrompt(value)) return OnePrompt(value, tokenizer);
  Json prompts = Json::array();
  for (const Json& one : value) prompts.push_back(OnePrompt(one, tokenizer));
  return prompts;
}

// A text stands for each of its tokens, but a number that is an object's key for the token of that
// id.
Json Biases(const Json& value, const Tokenizer& tokenizer) {
  if (!value.is_object() && !value.is_array()) return value;
  const std::string name = "logit_bias";
  Json pairs = Json::array();
  const auto add = [&](const Json& token, const Json& bias) {
    if (!token.is_string()) return pairs.push_back({token, bias});
    for (const int32_t id : EncodedText(token.get<std::string>(), true, name, tokenizer))
      pairs.push_back({id, bias});
  };
  for (const auto& [key, one] : value.items()) {
    if (value.is_object()) {
      const bool digits = !key.empty() && key.size() < 11 &&
                          key.find_first_not_of("0123456789") == std::string::npos;
      add(digits ? Json(std::stoll(key)) : Json(key), one);
    } else if (one.is_array() && one.size() == 2) {
      add(one[0], one[1]);
    } else {
      throw BadValue(name, "must hold pairs of a token and a bias");
    }
  }
  return pairs;
}

std::vector<std::string> Fields(const Json& value) {
  const ApiError wrong = BadValue("response_fields", "must be a list of texts");
  if (!value.is_array() || value.size() > kMostFields) throw wrong;
  std::vector<std::string> fields;
  fields.reserve(value.size());
  for (const Json& one : value) {
    if (!one.is_string()) throw wrong;
    fields.push_back(one.get<std::string>());
  }
  return fields;
}

bool Passes(const std::string& key) {
  static constexpr std::string_view kPassed[] = {
      "n_predict",    "max_tokens", "stream", "grammar",           "json_schema",
      "cache_prompt", "id_slot",    "model",  "timings_per_token", "n"};
  const std::vector<std::string>& sampling = SamplingFields();
  return std::ranges::find(kPassed, key) != std::end(kPassed) ||
         std::ranges::find(sampling, key) != sampling.end();
}

}  // namespace

LlamaCppRequest ReadLlamaCppRequest(const std::string& body, uint64_t random_seed,
                                    const Tokenizer& tokenizer) {
  const Json object = ReadApiBody(body);
  LlamaCppRequest read;
  Json out = Json::object();
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || AsksNothing(key, value)) continue;
    if (key == "prompt") {
      out[key] = Prompts(value, tokenizer);
    } else if (key == "n_probs") {
      if (value != 0) out["logprobs"] = value;
    } else if (key == "n_cmpl") {
      out["n"] = value;
    } else if (key == "logit_bias") {
      out[key] = Biases(value, tokenizer);
    } else if (key == "return_tokens") {
      read.return_tokens = FlagField(object, key);
    } else if (key == "response_fields") {
      read.fields = Fields(value);
    } else if (key == "stop" && value == Json::array()) {
      continue;
    } else if (Passes(key)) {
      out[key] = value;
    } else {
      throw LlamaCppRefusal(key);
    }
  }
  if (MemberOf(out, "n_predict").is_null() && MemberOf(out, "max_tokens").is_null())
    out["n_predict"] = -1;
  read.request = ReadApiObject(ApiKind::kCompletion, out, random_seed);
  read.several = std::ssize(read.request.prompts) * read.request.n > 1;
  return read;
}

}  // namespace retort
