// SPDX-License-Identifier: Apache-2.0
#include "runner/openai_request.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace retort {
namespace {

constexpr size_t kMostStops = 16;

ApiError BadValue(const std::string& name, const std::string& expectation) {
  return ApiError(400, Cat("'", name, "' ", expectation), name, "invalid_value");
}

// Parameters that are accepted without effect, with the values that are accepted.
struct Idle {
  const char* name;
  std::vector<Json> values;  // empty: any
};

const std::vector<Idle>& IdleParameters() {
  static const auto* idle = new std::vector<Idle>{{"user", {}},
                                                  {"metadata", {}},
                                                  {"store", {}},
                                                  {"service_tier", {}},
                                                  {"safety_identifier", {}},
                                                  {"prompt_cache_key", {}},
                                                  {"parallel_tool_calls", {}},
                                                  {"n", {1}},
                                                  {"best_of", {1}},
                                                  {"echo", {false}},
                                                  {"suffix", {""}},
                                                  {"logprobs", {false}},
                                                  {"top_logprobs", {0}},
                                                  {"presence_penalty", {0}},
                                                  {"frequency_penalty", {0}},
                                                  {"logit_bias", {Json::object()}},
                                                  {"response_format", {{{"type", "text"}}}},
                                                  {"modalities", {Json::array({"text"})}},
                                                  {"tools", {Json::array()}},
                                                  {"tool_choice", {"none", "auto"}},
                                                  {"functions", {Json::array()}},
                                                  {"function_call", {"none", "auto"}},
                                                  {"reasoning_effort", {"none"}}};
  return *idle;
}

const std::vector<std::string>& UsedParameters(ApiKind kind) {
  static const std::vector<std::string> common = {"model",  "max_tokens",    "temperature", "top_k",
                                                  "top_p",  "min_p",         "seed",        "stop",
                                                  "stream", "stream_options"};
  static const auto with = [](std::vector<std::string> more) {
    more.insert(more.end(), common.begin(), common.end());
    return more;
  };
  static const std::vector<std::string> chat = with({"messages", "max_completion_tokens"});
  static const std::vector<std::string> completion = with({"prompt"});
  return kind == ApiKind::kChat ? chat : completion;
}

void CheckParameter(ApiKind kind, const std::string& name, const Json& value) {
  const std::vector<std::string>& used = UsedParameters(kind);
  if (std::find(used.begin(), used.end(), name) != used.end() || value.is_null()) return;
  std::vector<std::string> known = used;
  for (const Idle& idle : IdleParameters()) {
    known.push_back(idle.name);
    if (name != idle.name) continue;
    if (idle.values.empty()) return;
    for (const Json& harmless : idle.values) {
      if (value == harmless) return;
    }
    throw ApiError(400, Cat("'", name, "' is not supported, but for ", DumpJson(idle.values[0])),
                   name, "unsupported_value");
  }
  const std::string nearest = Nearest(name, known);
  throw ApiError(400,
                 Cat("'", name, "' is not supported",
                     nearest.empty() ? "" : Cat("; did you mean '", nearest, "'?")),
                 name, "unknown_parameter");
}

// The member, or null if there is none.
const Json& At(const Json& object, const std::string& name) {
  static const Json null;
  const auto at = object.find(name);
  return at == object.end() ? null : *at;
}

int64_t Integer(const Json& object, const std::string& name, int64_t fallback) {
  const Json& value = At(object, name);
  if (value.is_null()) return fallback;
  if (value.is_number_integer() &&
      (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX)) {
    return value.get<int64_t>();
  }
  throw BadValue(name, "must be an integer");
}

double Number(const Json& object, const std::string& name, double fallback) {
  const Json& value = At(object, name);
  if (value.is_null()) return fallback;
  if (!value.is_number()) throw BadValue(name, "must be a number");
  return value.get<double>();
}

bool Flag(const Json& object, const std::string& name) {
  const Json& value = At(object, name);
  if (value.is_null()) return false;
  if (!value.is_boolean()) throw BadValue(name, "must be true or false");
  return value.get<bool>();
}

int64_t MaxTokens(const Json& object, ApiKind kind) {
  const int64_t fallback = kind == ApiKind::kChat ? kChatMaxTokens : kCompletionMaxTokens;
  // In chat requests the newer name takes precedence.
  const bool newer = kind == ApiKind::kChat && !At(object, "max_completion_tokens").is_null();
  const std::string name = newer ? "max_completion_tokens" : "max_tokens";
  const int64_t tokens = Integer(object, name, fallback);
  if (tokens < 1) throw BadValue(name, "must be at least 1");
  return tokens;
}

std::vector<std::string> Stops(const Json& object) {
  const Json& value = At(object, "stop");
  std::vector<std::string> stops;
  if (value.is_null()) return stops;
  const auto add = [&](const Json& text) {
    if (!text.is_string() || text.get_ref<const std::string&>().empty()) {
      throw BadValue("stop", "must be a text or a list of texts, none of them empty");
    }
    stops.push_back(text.get<std::string>());
  };
  if (!value.is_array()) {
    add(value);
    return stops;
  }
  if (value.size() > kMostStops)
    throw BadValue("stop", Cat("may hold at most ", kMostStops, " texts"));
  for (const Json& text : value) add(text);
  return stops;
}

SamplingOptions Sampling(const Json& object, ApiKind kind, uint64_t random_seed) {
  SamplingOptions s;
  s.temperature = Number(object, "temperature", 0);
  s.top_k = Integer(object, "top_k", 0);
  s.top_p = Number(object, "top_p", 1);
  s.min_p = Number(object, "min_p", 0);
  s.seed = At(object, "seed").is_null() ? random_seed
                                        : static_cast<uint64_t>(Integer(object, "seed", 0));
  s.max_tokens = MaxTokens(object, kind);
  s.stop = Stops(object);
  try {
    CheckSampling(s);
  } catch (const Error& e) {
    throw ApiError(400, e.what(), "", "invalid_value");
  }
  return s;
}

std::string Content(const Json& content, const std::string& where) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) throw BadValue(where, "must be a text or a list of text parts");
  std::string text;
  for (const Json& part : content) {
    if (!part.is_object() || At(part, "type") != "text" || !At(part, "text").is_string()) {
      throw BadValue(where, R"(may hold parts {"type": "text", "text": ...} only)");
    }
    text += At(part, "text").get<std::string>();
  }
  return text;
}

std::vector<Message> Messages(const Json& object) {
  const Json& value = At(object, "messages");
  if (!value.is_array() || value.empty())
    throw BadValue("messages", "must be a list of at least one message");
  std::vector<Message> messages;
  for (const Json& message : value) {
    const std::string where = Cat("messages[", messages.size(), "]");
    if (!message.is_object()) throw BadValue(where, "must be an object");
    for (const auto& [key, member] : message.items()) {
      // Clients that send an earlier answer back include its other members, null or empty.
      const bool nothing = member.is_null() || (member.is_array() && member.empty());
      if (key != "role" && key != "content" && !nothing) {
        throw ApiError(400, Cat("'", where, ".", key, "' is not supported"), Cat(where, ".", key),
                       "unsupported_value");
      }
    }
    const Json& role = At(message, "role");
    if (role != "system" && role != "user" && role != "assistant") {
      throw BadValue(where + ".role", "must be system, user or assistant");
    }
    messages.push_back(
        {role.get<std::string>(), Content(At(message, "content"), where + ".content")});
  }
  return messages;
}

void ReadPrompt(const Json& object, ApiRequest& request) {
  const Json* value = &At(object, "prompt");
  // A list of one prompt is accepted as this prompt.
  if (value->is_array() && value->size() == 1 && !(*value)[0].is_number()) value = &(*value)[0];
  if (value->is_string()) {
    request.prompt = value->get<std::string>();
    return;
  }
  const ApiError wrong = BadValue("prompt", "must be one text or one list of token ids");
  if (!value->is_array() || value->empty()) throw wrong;
  for (const Json& id : *value) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX) throw wrong;
    request.prompt_ids.push_back(id.get<int32_t>());
  }
}

void ReadStreaming(const Json& object, ApiRequest& request) {
  request.stream = Flag(object, "stream");
  const Json& options = At(object, "stream_options");
  if (options.is_null()) return;
  if (!request.stream) throw BadValue("stream_options", "goes with 'stream' only");
  if (!options.is_object()) throw BadValue("stream_options", "must be an object");
  for (const auto& [key, value] : options.items()) {
    // include_obfuscation pads chunks to hide their lengths. It is not implemented, so only false.
    if (key == "include_usage" || (key == "include_obfuscation" && value == false)) continue;
    throw ApiError(400, Cat("'stream_options.", key, "' is not supported"),
                   Cat("stream_options.", key), "unknown_parameter");
  }
  request.include_usage = Flag(options, "include_usage");
}

}  // namespace

ApiRequest ReadApiRequest(ApiKind kind, const std::string& body, uint64_t random_seed) {
  Json object;
  try {
    object = ParseJson(body, "the body");
  } catch (const Error& e) {
    throw ApiError(400, e.what(), "", "invalid_json");
  }
  if (!object.is_object())
    throw ApiError(400, "the body must be a JSON object", "", "invalid_json");
  for (const auto& [name, value] : object.items()) CheckParameter(kind, name, value);
  const Json& model = At(object, "model");
  if (!model.is_null() && !model.is_string()) throw BadValue("model", "must be a text");

  ApiRequest request;
  request.kind = kind;
  if (kind == ApiKind::kChat)
    request.messages = Messages(object);
  else
    ReadPrompt(object, request);
  request.sampling = Sampling(object, kind, random_seed);
  ReadStreaming(object, request);
  return request;
}

}  // namespace retort
