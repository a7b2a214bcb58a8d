// SPDX-License-Identifier: Apache-2.0
// A request of any API, in no API's own form: what its reader makes of a body, and what the service
// answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "grammar/compile.h"
#include "runner/api/tools.h"
#include "runner/engine/request.h"
#include "template/chat_template.h"

namespace retort {

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
  bool post_sampling_probs = false;  // those are of the draw, behind all options
  std::string n_field = "n", logprobs_field = "logprobs";  // that say so
  Pooling pooling = Pooling::kNone;  // other values: embeddings of the prompts
  SamplingOptions sampling;
  std::optional<GrammarSource> grammar;  // what the answer is held to
  std::string grammar_field;  // that says it, or that the answer may be any text; "": none does
  bool field_probabilities = false;  // of the answer's choices
  bool stream = false, include_usage = false;
  bool timings_per_token = false;  // in a stream, timings with every part
  bool return_progress = false;    // in a stream, how far the prompt is read
  bool verbose = false;            // a whole answer tells its prompt, as llama.cpp does
};

}  // namespace retort
