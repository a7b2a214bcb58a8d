// SPDX-License-Identifier: Apache-2.0
#include "runner/api/openai/request.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/text.h"
#include "runner/api/fields.h"
#include "runner/api/openai/grammar.h"
#include "runner/api/openai/messages.h"
#include "runner/api/openai/parameters.h"
#include "runner/api/openai/sampling.h"

namespace retort {
namespace {

constexpr int64_t kMostChoices = 128, kMostLogprobs = 20;  // of one request; of one token
constexpr size_t kMostJsonError = 300;  // bytes of a message, which may quote the body

// The names of the same number, the preferred one first.
int64_t MaxTokens(const Json& object, const ApiRequest& request) {
  const int64_t fallback = request.kind == ApiKind::kChat ? kChatMaxTokens : kCompletionMaxTokens;
  const int64_t least = request.echo ? 0 : 1;  // an echo is something to say
  std::string given;
  int64_t tokens = fallback;
  for (const char* name : {"max_completion_tokens", "max_tokens", "n_predict"}) {
    if (MemberOf(object, name).is_null()) continue;
    const int64_t said = TokensField(object, name, fallback);
    if (!given.empty() && said != tokens)
      throw BadValue(name, Cat("differs from '", given, "'; give one of them"));
    if (said < least) {
      throw BadValue(name,
                     Cat("must be at least ", least, ", or -1 for as many as there is room for"));
    }
    given = name;
    tokens = said;
  }
  return tokens;
}

SamplingOptions Sampling(const Json& object, const ApiRequest& request, uint64_t random_seed) {
  SamplingOptions s = ReadSampling(object, random_seed);
  s.max_tokens = MaxTokens(object, request);
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

// One text or one list of ids.
ApiPrompt Prompt(const Json& value, const std::string& name) {
  if (value.is_string()) return {value.get<std::string>(), {}};
  const ApiError wrong = BadValue(name, "must be a text, a list of token ids, or a list of such");
  if (!value.is_array() || value.empty()) throw wrong;
  ApiPrompt prompt;
  prompt.ids.reserve(value.size());
  for (const Json& id : value) {
    const auto whole = IntegerIn(id);
    if (!whole || *whole < 0 || *whole > INT32_MAX) throw wrong;
    prompt.ids.push_back(static_cast<int32_t>(*whole));
  }
  return prompt;
}

// A last message of the assistant's is the beginning of the answer, as llama.cpp has it, unless
// 'add_generation_prompt' asks for a new turn or for none, as vLLM has it.
void ReadContinuation(const Json& object, ApiRequest& request) {
  const Json& asked = MemberOf(object, "add_generation_prompt");
  const bool prompts = FlagField(object, "add_generation_prompt");
  const bool continues = FlagField(object, "continue_final_message");
  if (continues && prompts)
    throw BadValue("continue_final_message", "cannot go with 'add_generation_prompt'");
  const bool last = request.messages.back().role == "assistant";
  if (continues && !last)
    throw BadValue("continue_final_message", "needs a last message of the assistant's");
  if (!asked.is_null() && !continues) {
    request.generation_prompt = prompts;
    return;
  }
  if (!last) return;
  const std::string where = Cat("messages[", request.messages.size() - 1, "]");
  if (!request.messages.back().more.empty()) {
    throw ApiError(400,
                   Cat("'", where, "' has more than a content, and only that can be continued; ",
                       "end with a user's message or a tool's"),
                   where, "unsupported_value");
  }
  request.begun = std::move(request.messages.back().content);
  request.messages.pop_back();
  if (request.messages.empty()) throw BadValue("messages", "must begin with another's message");
}

// Which answers are told, and what of them.
void ReadChoices(const Json& object, ApiRequest& request) {
  const auto within = [&](const std::string& name, int64_t fallback, int64_t least, int64_t most) {
    const int64_t value = IntegerField(object, name, fallback);
    if (value < least || value > most)
      throw BadValue(name, Cat("must be within ", least, " and ", most));
    return value;
  };
  const auto prompts = std::max<int64_t>(1, std::ssize(request.prompts));
  request.n = within("n", 1, 1, kMostChoices / prompts);
  if (!MemberOf(object, "n_cmpl").is_null()) {
    const int64_t n = within("n_cmpl", 1, 1, kMostChoices / prompts);
    if (n != request.n && !MemberOf(object, "n").is_null())
      throw BadValue("n_cmpl", "differs from 'n'; give one of them");
    request.n = n;
    request.n_field = "n_cmpl";
  }
  request.best_of = request.n;
  if (request.kind == ApiKind::kChat) {
    const bool wanted = FlagField(object, "logprobs");
    const int64_t top = within("top_logprobs", 0, 0, kMostLogprobs);
    if (top > 0 && !wanted) throw BadValue("top_logprobs", "goes with 'logprobs' only");
    if (wanted) request.logprobs = top;
    return;
  }
  request.best_of = within("best_of", request.n, request.n, kMostChoices / prompts);
  if (request.stream && request.best_of > request.n)
    throw BadValue("best_of", "cannot be above 'n' in a stream");
  request.echo = FlagField(object, "echo");
  const Json& logprobs = MemberOf(object, "logprobs");
  if (!logprobs.is_null() && logprobs != false)
    request.logprobs = within("logprobs", 0, 0, kMostLogprobs);
  const int64_t probs = within("n_probs", 0, 0, kMostLogprobs);
  if (probs == 0) return;
  if (request.logprobs) throw BadValue("n_probs", "cannot go with 'logprobs'; they are one");
  request.logprobs = probs;
  request.logprobs_field = "n_probs";
}

void ReadStreaming(const Json& object, ApiRequest& request) {
  request.stream = FlagField(object, "stream");
  request.timings_per_token = FlagField(object, "timings_per_token");
  request.return_progress = FlagField(object, "return_progress");
  request.verbose = FlagField(object, "verbose");
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

Json ReadApiBody(const std::string& body) {
  Json object;
  try {
    object = ParseJson(body, "the body");
  } catch (const Error& e) {
    throw ApiError(400, Shortened(e.what(), kMostJsonError), "", "invalid_json");
  }
  if (!object.is_object())
    throw ApiError(400, "the body must be a JSON object", "", "invalid_json");
  return object;
}

std::vector<ApiPrompt> ReadPrompts(const Json& value, const std::string& name) {
  const bool several = value.is_array() && !value.empty() && !value[0].is_number();
  if (!several) return {Prompt(value, name)};
  if (std::ssize(value) > kMostChoices)
    throw BadValue(name, Cat("may hold at most ", kMostChoices, " prompts"));
  std::vector<ApiPrompt> prompts;
  prompts.reserve(value.size());
  for (const Json& one : value) prompts.push_back(Prompt(one, name));
  return prompts;
}

ApiRequest ReadApiRequest(ApiKind kind, const std::string& body, uint64_t random_seed) {
  return ReadApiObject(kind, ReadApiBody(body), random_seed);
}

ApiRequest ReadApiObject(ApiKind kind, const Json& object, uint64_t random_seed) {
  for (const auto& [name, value] : object.items()) CheckParameter(kind, name, value);
  const Json& model = MemberOf(object, "model");
  if (!model.is_null() && !model.is_string()) throw BadValue("model", "must be a text");

  ApiRequest request;
  request.kind = kind;
  if (model.is_string()) request.model = model.get<std::string>();
  if (kind == ApiKind::kChat) {
    request.messages = ReadMessages(MemberOf(object, "messages"));
    ReadContinuation(object, request);
    request.tools = ReadTools(object);
    request.variables = Variables(object);
  } else {
    request.prompts = ReadPrompts(MemberOf(object, "prompt"), "prompt");
  }
  ReadStreaming(object, request);
  ReadChoices(object, request);
  request.sampling = Sampling(object, request, random_seed);
  ReadGrammar(object, request);
  request.field_probabilities = FlagField(object, "field_probabilities");
  if (request.field_probabilities && (request.best_of > 1 || request.prompts.size() > 1))
    throw BadValue("field_probabilities", "goes with a single answer");
  return request;
}

}  // namespace retort
