// SPDX-License-Identifier: Apache-2.0
// Answers of OpenAI's chat and completion API.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "runner/api/answer.h"
#include "runner/api/error.h"
#include "runner/api/request.h"

namespace retort {

// tokenizer: for the texts of tokens; it must outlive the writer.
std::unique_ptr<AnswerWriter> OpenAiWriter(const ApiAnswerHead& head, const ApiRequest& request,
                                           const Tokenizer& tokenizer);

// Of an answer so far, as llama.cpp names them. A rate of nothing is 0. The first token comes with
// the prompt's last step, so rates of the answer are those of the tokens behind it.
Json TimingsJson(const ApiChoice& choice);

// How far a prompt of `tokens` is read (AnswerWriter::Reading), as llama.cpp names it.
Json ProgressJson(const ApiChoice& choice, int64_t tokens);

// {"error": {"message", "type", "param", "code"}}; the type follows from the status.
std::string ApiErrorBody(const ApiError& error);
std::string ApiErrorType(int status);

Json UsageJson(const ApiUsage& usage);

}  // namespace retort
