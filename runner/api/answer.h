// SPDX-License-Identifier: Apache-2.0
// What was answered to a request, in no API's own form, and the interface of those forms.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runner/answer/answer_parser.h"
#include "runner/api/error.h"
#include "runner/engine/field_choice.h"
#include "runner/engine/request.h"

namespace retort {

struct ApiUsage {
  int64_t prompt_tokens = 0, completion_tokens = 0;
  int64_t reused_tokens = 0;  // of the prompt's (GenerationEvent)
};

struct ApiCall {
  std::string id, name, arguments;
};

// What was answered. Texts have a content alone.
struct ApiMessage {
  std::string content, thought;
  std::vector<ApiCall> calls;
};

// In seconds since the first step that read the prompt.
struct ApiTimings {
  double first_token = 0, last_token = 0;
};

// One of the answers to a request.
struct ApiChoice {
  size_t index = 0, prompt = 0;  // among the answers; the prompt that it answers
  ApiMessage said;               // so far
  FinishReason finish = FinishReason::kNone;
  std::string stop_text;              // that ended it; "": none
  std::string prompt_text;            // as the model reads it, if it is asked for
  std::vector<int32_t> ids;           // so far, those of a stop text included
  std::vector<TokenLogprobs> tokens;  // if they are asked for
  ApiUsage usage;
  ApiTimings timings;
  int64_t drafted_tokens = 0, accepted_tokens = 0;  // (GenerationEvent)
  WatchedTokens watched;
  bool held = false;  // to a grammar
  // If they are asked for, and the answer came to its end.
  std::optional<std::vector<FieldChoice>> fields;
  bool scored = false;           // texts behind its prompt were scored, and nothing is said
  std::vector<float> embedding;  // of a request for those, instead of anything that is said
};

struct ApiAnswer {
  std::vector<ApiChoice> choices;
  int64_t untold_tokens = 0;  // generated for answers that are not told
  // Prompts count once, however many answers each has.
  ApiUsage Usage() const;
};

// The first fields of every answer.
struct ApiAnswerHead {
  std::string id;       // without an API's prefix
  int64_t created = 0;  // seconds since 1970
  std::string model, fingerprint;
};

// How an API writes an answer: as a whole, or as a stream. Used on one thread at a time.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  virtual std::string Whole(const ApiAnswer& answer) = 0;
  virtual std::string ErrorBody(const ApiError& error) const = 0;

  virtual const char* stream_type() const { return "text/event-stream; charset=utf-8"; }
  virtual std::string Ping() const { return ": waiting\n\n"; }  // a comment, which clients skip
  // The pieces of a stream: its beginning; a part of what is said, with the tokens since the part
  // before; the end of a choice, with the last tokens; the end of all. Or, in place of the rest, a
  // failure. The choice has what is passed already.
  virtual std::string Begin(const ApiAnswer& answer) = 0;
  // How far a prompt is read, between the beginning and the first part: the choice's usage and
  // timings are of what is read of its `tokens`. "": this API tells nothing of it.
  virtual std::string Reading(const ApiChoice& /*choice*/, int64_t /*tokens*/) { return ""; }
  virtual std::string Said(const ApiChoice& choice, const AnswerPart& part,
                           std::span<const TokenLogprobs> tokens) = 0;
  virtual std::string EndOfChoice(const ApiChoice& choice,
                                  std::span<const TokenLogprobs> tokens) = 0;
  virtual std::string End(const ApiAnswer& answer) = 0;
  virtual std::string Failed(const ApiError& error) const = 0;
};

// An event of a stream: "data: TEXT\n\n".
std::string ServerSentEvent(const std::string& text);
// The same with a name.
std::string ServerSentEvent(const std::string& name, const std::string& text);

}  // namespace retort
