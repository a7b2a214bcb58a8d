// SPDX-License-Identifier: Apache-2.0
// OpenAI's answers as JSON text: whole ones, the chunks of a stream, and errors.
#pragma once

#include <string>

#include "runner/engine.h"
#include "runner/openai_request.h"

namespace retort {

struct ApiUsage {
  int64_t prompt_tokens = 0, completion_tokens = 0;
};

// What all parts of one answer share.
struct ApiAnswer {
  ApiKind kind;
  std::string id;       // "chatcmpl-..." or "cmpl-..."
  int64_t created = 0;  // seconds since 1970
  std::string model;
  bool include_usage = false;  // of a stream

  std::string Whole(const std::string& text, FinishReason finish, const ApiUsage& usage) const;
  // Of a stream: the role that a chat begins with, text as it comes, the end, and last the usage
  // where it was asked for.
  std::string RoleChunk() const;
  std::string TextChunk(const std::string& text) const;
  std::string FinishChunk(FinishReason finish) const;
  std::string UsageChunk(const ApiUsage& usage) const;
};

// {"error": {"message", "type", "param", "code"}}; the type follows from the status.
std::string ApiErrorBody(const ApiError& error);

// An event of a stream: "data: TEXT\n\n".
std::string ServerSentEvent(const std::string& text);

}  // namespace retort
