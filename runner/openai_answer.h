// SPDX-License-Identifier: Apache-2.0
// Answers of OpenAI's API as JSON text: whole answers, the chunks of a stream, and errors.
#pragma once

#include <string>
#include <vector>

#include "runner/engine.h"
#include "runner/openai_request.h"

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

// The fields that all chunks of one answer share.
struct ApiAnswer {
  ApiKind kind;
  std::string id;       // "chatcmpl-..." or "cmpl-..."
  int64_t created = 0;  // seconds since 1970
  std::string model;
  bool include_usage = false;  // only for streams

  std::string Whole(const ApiMessage& said, FinishReason finish, const ApiUsage& usage) const;
  // The chunks of a stream: first the role (chat only), then what is said, the finish reason, and
  // last the usage if it was requested.
  std::string RoleChunk() const;
  std::string TextChunk(const std::string& text) const;
  std::string ThoughtChunk(const std::string& text) const;
  std::string CallChunk(size_t index, const ApiCall& call) const;  // with its first arguments
  std::string ArgumentsChunk(size_t index, const std::string& text) const;
  std::string FinishChunk(FinishReason finish, bool called) const;
  std::string UsageChunk(const ApiUsage& usage) const;
};

// {"error": {"message", "type", "param", "code"}}; the type follows from the status.
std::string ApiErrorBody(const ApiError& error);

// An event of a stream: "data: TEXT\n\n".
std::string ServerSentEvent(const std::string& text);

}  // namespace retort
