// SPDX-License-Identifier: Apache-2.0
#include "runner/openai_request.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "runner/http_message.h"
#include "runner/openai_fields.h"
#include "runner/openai_grammar.h"
#include "runner/openai_messages.h"
#include "runner/openai_parameters.h"
#include "runner/openai_sampling.h"

namespace retort {
namespace {

constexpr size_t kMostJsonError = 300;  // bytes of a message, which may quote the body

// The names of the same number, the preferred one first.
int64_t MaxTokens(const Json& object, ApiKind kind) {
  const int64_t fallback = kind == ApiKind::kChat ? kChatMaxTokens : kCompletionMaxTokens;
  std::string given;
  int64_t tokens = fallback;
  for (const char* name : {"max_completion_tokens", "max_tokens", "n_predict"}) {
    if (MemberOf(object, name).is_null()) continue;
    const int64_t said = TokensField(object, name, fallback);
    if (!given.empty() && said != tokens)
      throw BadValue(name, Cat("differs from '", given, "'; give one of them"));
    if (said < 1)
      throw BadValue(name, "must be at least 1, or -1 for as many as there is room for");
    given = name;
    tokens = said;
  }
  return tokens;
}

SamplingOptions Sampling(const Json& object, ApiKind kind, uint64_t random_seed) {
  SamplingOptions s = ReadSampling(object, random_seed);
  s.max_tokens = MaxTokens(object, kind);
  CheckApiSampling(s);
  return s;
}

// What servers of the same API call it: variables of the chat template, such as enable_thinking.
std::string Variables(const Json& object) {
  const Json& value = MemberOf(object, "chat_template_kwargs");
  if (value.is_null()) return "";
  if (!value.is_object()) throw BadValue("chat_template_kwargs", "must be an object");
  return value.empty() ? "" : DumpJson(value);
}

void ReadPrompt(const Json& object, ApiRequest& request) {
  const Json* value = &MemberOf(object, "prompt");
  // A list of one prompt is accepted as this prompt.
  if (value->is_array() && value->size() == 1 && !(*value)[0].is_number()) value = &(*value)[0];
  if (value->is_string()) {
    request.prompt = value->get<std::string>();
    return;
  }
  const ApiError wrong = BadValue("prompt", "must be one text or one list of token ids");
  if (!value->is_array() || value->empty()) throw wrong;
  for (const Json& id : *value) {
    const auto whole = IntegerIn(id);
    if (!whole || *whole < 0 || *whole > INT32_MAX) throw wrong;
    request.prompt_ids.push_back(static_cast<int32_t>(*whole));
  }
}

void ReadStreaming(const Json& object, ApiRequest& request) {
  request.stream = FlagField(object, "stream");
  const Json& options = MemberOf(object, "stream_options");
  if (options.is_null()) return;
  if (!request.stream) throw BadValue("stream_options", "goes with 'stream' only");
  if (!options.is_object()) throw BadValue("stream_options", "must be an object");
  for (const auto& [key, value] : options.items()) {
    // include_obfuscation pads chunks to hide their lengths. It is not implemented, so only false.
    if (key == "include_usage" || (key == "include_obfuscation" && value == false)) continue;
    const std::string name = "stream_options." + Shortened(key);
    throw ApiError(400, Cat("'", name, "' is not supported"), name, "unknown_parameter");
  }
  request.include_usage = FlagField(options, "include_usage");
}

}  // namespace

ApiRequest ReadApiRequest(ApiKind kind, const std::string& body, uint64_t random_seed) {
  Json object;
  try {
    object = ParseJson(body, "the body");
  } catch (const Error& e) {
    throw ApiError(400, Shortened(e.what(), kMostJsonError), "", "invalid_json");
  }
  if (!object.is_object())
    throw ApiError(400, "the body must be a JSON object", "", "invalid_json");
  for (const auto& [name, value] : object.items()) CheckParameter(kind, name, value);
  const Json& model = MemberOf(object, "model");
  if (!model.is_null() && !model.is_string()) throw BadValue("model", "must be a text");

  ApiRequest request;
  request.kind = kind;
  if (model.is_string()) request.model = model.get<std::string>();
  if (kind == ApiKind::kChat) {
    request.messages = ReadMessages(MemberOf(object, "messages"));
    request.tools = ReadTools(object);
    request.variables = Variables(object);
  } else {
    ReadPrompt(object, request);
  }
  request.sampling = Sampling(object, kind, random_seed);
  ReadGrammar(object, request);
  ReadStreaming(object, request);
  return request;
}

}  // namespace retort
