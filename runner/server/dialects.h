// SPDX-License-Identifier: Apache-2.0
// The APIs that a server speaks: which one a path belongs to, and how it becomes a request in no
// API's own form.
#pragma once

#include <string>

#include "runner/api/error.h"
#include "runner/server/routes.h"
#include "runner/service/model_service.h"

namespace retort {

// The body of an error in the API of this path.
std::string ErrorBodyOf(Dialect dialect, const ApiError& error);

// Reads a body of an endpoint that the engine answers; fills the job's request and writer. The
// head's model and fingerprint become those that the request names. Throws ApiError.
using JobReader = void (*)(const std::string& body, const ApiAnswerHead& head,
                           const ModelService& service, ServiceJob& job);
void ReadChatJob(const std::string& body, const ApiAnswerHead& head, const ModelService& service,
                 ServiceJob& job);
void ReadCompletionJob(const std::string& body, const ApiAnswerHead& head,
                       const ModelService& service, ServiceJob& job);
void ReadEmbeddingsJob(const std::string& body, const ApiAnswerHead& head,
                       const ModelService& service, ServiceJob& job);
void ReadResponsesJob(const std::string& body, const ApiAnswerHead& head,
                      const ModelService& service, ServiceJob& job);
void ReadAnthropicJob(const std::string& body, const ApiAnswerHead& head,
                      const ModelService& service, ServiceJob& job);
void ReadLlamaCppJob(const std::string& body, const ApiAnswerHead& head,
                     const ModelService& service, ServiceJob& job);
void ReadInfillJob(const std::string& body, const ApiAnswerHead& head, const ModelService& service,
                   ServiceJob& job);
void ReadOllamaGenerateJob(const std::string& body, const ApiAnswerHead& head,
                           const ModelService& service, ServiceJob& job);
void ReadOllamaChatJob(const std::string& body, const ApiAnswerHead& head,
                       const ModelService& service, ServiceJob& job);

}  // namespace retort
