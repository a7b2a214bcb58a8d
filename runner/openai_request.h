// SPDX-License-Identifier: Apache-2.0
// Reads and checks the bodies of OpenAI's chat and completion requests.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "grammar/compile.h"
#include "runner/engine.h"
#include "runner/openai_tools.h"
#include "runner/sampler.h"
#include "template/chat_template.h"

namespace retort {

// An error in a request, with the fields of OpenAI's API.
struct ApiError : std::runtime_error {
  ApiError(int http_status, const std::string& message, std::string parameter = "",
           std::string error_code = "")
      : std::runtime_error(message),
        status(http_status),
        param(std::move(parameter)),
        code(std::move(error_code)) {}

  int status;
  std::string param, code;                                   // empty: null in the answer
  std::vector<std::pair<std::string, std::string>> headers;  // of the answer, beside the usual ones
};

enum class ApiKind { kChat, kCompletion };

// A text, or token ids.
struct ApiPrompt {
  std::string text;
  std::vector<int32_t> ids;
  bool markup = false;  // special tokens are found in the text (Segment)
};

struct ApiRequest {
  ApiKind kind = ApiKind::kChat;
  std::optional<std::string> model;  // as asked for; absent: the server's
  std::vector<Message> messages;     // chat
  ApiTools tools;
  std::string variables;             // a JSON object of what else the template is given; "": none
  std::optional<bool> think;         // chat: its enable_thinking, if the template has one
  bool generation_prompt = true;     // chat: the template opens the answer
  std::optional<std::string> begun;  // chat: the beginning of the answer, which is continued
  std::vector<ApiPrompt> prompts;    // completion
  bool echo = false;                 // completion: the answer begins with the prompt
  int64_t n = 1, best_of = 1;        // answers to each prompt: told, and generated
  std::optional<int64_t> logprobs;   // of the chosen tokens and so many likeliest ones
  std::string n_field = "n", logprobs_field = "logprobs";  // that say so
  Pooling pooling = Pooling::kNone;  // other values: embeddings of the prompts
  SamplingOptions sampling;
  std::optional<GrammarSource> grammar;  // what the answer is held to
  std::string grammar_field;  // that says it, or that the answer may be any text; "": none does
  bool stream = false, include_usage = false;
  bool timings_per_token = false;  // in a stream, timings with every part
  bool verbose = false;            // a whole answer tells its prompt, as llama.cpp does
};

// Default max_tokens.
inline constexpr int64_t kChatMaxTokens = 1024, kCompletionMaxTokens = 16;

// The object that a body is. Throws ApiError.
Json ReadApiBody(const std::string& body);

// The value of "prompt" or "input": a text, a list of token ids, or a list of such. Throws
// ApiError.
std::vector<ApiPrompt> ReadPrompts(const Json& value, const std::string& name);

// Parameters that are absent or null take their defaults, for example temperature 0, as in `retort
// run`, and `random_seed` as the seed. Throws ApiError. Parameters that would change the answer in
// an unsupported way are rejected by name.
ApiRequest ReadApiRequest(ApiKind kind, const std::string& body, uint64_t random_seed);
ApiRequest ReadApiObject(ApiKind kind, const Json& object, uint64_t random_seed);

}  // namespace retort
