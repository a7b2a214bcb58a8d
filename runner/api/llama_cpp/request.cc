// SPDX-License-Identifier: Apache-2.0
// The requests of llama.cpp's own API as those of OpenAI's, which are read and checked as such.
#include "runner/api/openai/request.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/text.h"
#include "runner/api/error.h"
#include "runner/api/fields.h"
#include "runner/api/llama_cpp/llama_cpp.h"
#include "runner/api/openai/sampling.h"
#include "runner/api/request.h"

namespace retort {
namespace {

constexpr size_t kMostFields = 64, kMostFieldBytes = 200, kMostFieldParts = 4;

using TokenIds = std::vector<int32_t>;

// Which place in the server answers, how it keeps its cache, what chooses tokens and how soon it
// gives up do not change an answer; what would is supported at these values only.
bool AsksNothing(const std::string& key, const Json& value) {
  static const auto* neutral = new Json{
      {"n_keep", {0, -1}},           {"n_discard", {0}},       {"n_indent", {0}},
      {"t_max_predict_ms", {0, -1}}, {"min_keep", {0}},        {"backend_sampling", {true, false}},
      {"lora", {Json::array()}},     {"adaptive_target", {-1}}};
  for (const Json& one : MemberOf(*neutral, key)) {
    if (one == value) return true;
  }
  return false;
}

ApiError LlamaCppRefusal(const std::string& name) {
  return ApiError(400, Cat("'", Shortened(name), "' is not supported"), Shortened(name),
                  "unsupported_value");
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

// TokenIds with texts between them.
bool IsMixed(const Json& prompt) {
  return prompt.is_array() &&
         std::ranges::any_of(prompt, [](const Json& part) { return part.is_string(); });
}

// A mixed prompt as the empty text: it is tokenised once everything else is known to be right.
Json Untokenised(const Json& value) {
  const Json& prompt = PlainPrompt(value);
  return IsMixed(prompt) ? Json("") : prompt;
}

Json Prompts(const Json& value) {
  if (IsOnePrompt(value)) return Untokenised(value);
  Json prompts = Json::array();
  for (const Json& one : value) prompts.push_back(Untokenised(one));
  return prompts;
}

TokenIds MixedIds(const Json& parts, const Tokenizer& tokenizer, size_t most) {
  const std::string name = "prompt";
  TokenIds ids;
  for (const Json& part : parts) {
    if (!part.is_string()) {
      const auto id = IntegerIn(part);
      if (!id || *id < 0 || *id > INT32_MAX) throw BadValue(name, "must hold texts and token ids");
      ids.push_back(static_cast<int32_t>(*id));
      continue;
    }
    const std::string& text = part.get_ref<const std::string&>();
    const size_t left = most - std::min(most, ids.size());
    const auto more = AsRequestError(name, [&] {
      return ids.empty() ? tokenizer.EncodeMarkupAtMost(text, left)
                         : tokenizer.EncodeAtMost({{text, true}}, true, left);
    });
    if (!more) {
      throw ApiError(400, Cat("the prompt has more than ", most, " tokens"), name,
                     "context_length_exceeded");
    }
    ids.insert(ids.end(), more->begin(), more->end());
  }
  return ids;
}

// As llama.cpp reads them: with special tokens in the texts.
void FinishPrompts(const Json& value, const Tokenizer& tokenizer, size_t most,
                   std::vector<ApiPrompt>& prompts) {
  const bool one = IsOnePrompt(value);
  for (size_t i = 0; i < prompts.size(); ++i) {
    const Json& prompt = PlainPrompt(one ? value : value[i]);
    prompts[i].markup = true;
    if (IsMixed(prompt)) prompts[i].ids = MixedIds(prompt, tokenizer, most);
  }
}

// A text stands for each of its tokens, but a number that is an object's key for the token of that
// id.
Json Biases(const Json& value, const Tokenizer& tokenizer) {
  if (!value.is_object() && !value.is_array()) return value;
  const std::string name = "logit_bias";
  Json pairs = Json::array();
  const auto add = [&](const Json& token, const Json& bias) {
    const size_t left = kMostBiases - pairs.size();
    std::optional<TokenIds> ids;
    if (token.is_string()) {
      const std::string& text = token.get_ref<const std::string&>();
      ids = AsRequestError(name, [&] { return tokenizer.EncodeAtMost(text, true, left); });
    }
    if (left == 0 || (token.is_string() && !ids))
      throw BadValue(name, Cat("may name at most ", kMostBiases, " tokens"));
    if (!ids) return pairs.push_back({token, bias});
    for (const int32_t id : *ids) pairs.push_back({id, bias});
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

std::vector<std::vector<std::string>> Fields(const Json& value) {
  const ApiError wrong =
      BadValue("response_fields",
               Cat("must be a list of at most ", kMostFields, " texts of at most ", kMostFieldBytes,
                   " bytes and ", kMostFieldParts, " names with '/' between them"));
  if (!value.is_array() || value.size() > kMostFields) throw wrong;
  std::vector<std::vector<std::string>> fields;
  fields.reserve(value.size());
  for (const Json& one : value) {
    if (!one.is_string()) throw wrong;
    const std::string& path = one.get_ref<const std::string&>();
    if (path.size() > kMostFieldBytes) throw wrong;
    fields.push_back(Split(path, '/'));
    if (fields.back().size() > kMostFieldParts) throw wrong;
  }
  return fields;
}

bool Passes(const std::string& key) {
  static constexpr std::string_view kPassed[] = {
      "n_predict",    "max_tokens", "stream",         "grammar",           "json_schema",
      "cache_prompt", "id_slot",    "model",          "timings_per_token", "n",
      "n_cmpl",       "n_probs",    "return_progress"};
  const std::vector<std::string>& sampling = SamplingFields();
  return std::ranges::find(kPassed, key) != std::end(kPassed) ||
         std::ranges::find(sampling, key) != sampling.end();
}

}  // namespace

LlamaCppRequest ReadLlamaCppRequest(const std::string& body, uint64_t random_seed,
                                    const Tokenizer& tokenizer, size_t most_tokens) {
  return ReadLlamaCppObject(ReadApiBody(body), random_seed, tokenizer, most_tokens);
}

LlamaCppRequest ReadLlamaCppObject(const Json& object, uint64_t random_seed,
                                   const Tokenizer& tokenizer, size_t most_tokens) {
  LlamaCppRequest read;
  Json out = Json::object();
  bool drawn = false;
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || AsksNothing(key, value)) continue;
    if (key == "prompt") {
      out[key] = Prompts(value);
    } else if (key == "logit_bias") {
      out[key] = Biases(value, tokenizer);
    } else if (key == "post_sampling_probs") {
      drawn = FlagField(object, key);
    } else if (key == "return_tokens") {
      read.return_tokens = FlagField(object, key);
    } else if (key == "response_fields") {
      read.fields = Fields(value);
    } else if (key == "n_cache_reuse") {
      IntegerField(object, key, 0);  // without effect
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
  read.request.post_sampling_probs = drawn;
  FinishPrompts(MemberOf(object, "prompt"), tokenizer, most_tokens, read.request.prompts);
  read.several = std::ssize(read.request.prompts) * read.request.n > 1;
  return read;
}

}  // namespace retort
