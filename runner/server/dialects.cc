// SPDX-License-Identifier: Apache-2.0
#include "runner/server/dialects.h"

#include "base/strings.h"
#include "runner/api/anthropic/anthropic.h"
#include "runner/api/fields.h"
#include "runner/api/llama_cpp/llama_cpp.h"
#include "runner/api/ollama/ollama.h"
#include "runner/api/openai/answer.h"
#include "runner/api/openai/embeddings.h"
#include "runner/api/openai/request.h"
#include "runner/api/openai/responses.h"
#include "runner/api/request.h"

namespace retort {
namespace {

// The answer says which model it is of: the one that the request names.
ApiAnswerHead Named(ApiAnswerHead head, const ModelService& service, const ApiRequest& request) {
  const auto variant = service.Find(request.model);
  head.model = variant->name();
  head.fingerprint = variant->fingerprint();
  return head;
}

void ReadOpenAi(ApiKind kind, const std::string& body, const ApiAnswerHead& head,
                const ModelService& service, ServiceJob& job) {
  job.request = ReadApiRequest(kind, body, job.seed);
  job.writer =
      OpenAiWriter(Named(head, service, job.request), job.request, service.model().tokenizer);
}

void TakeLlamaCpp(LlamaCppRequest read, const ApiAnswerHead& head, const ModelService& service,
                  ServiceJob& job) {
  job.writer = LlamaCppWriter(Named(head, service, read.request), read, service.model().tokenizer);
  job.request = std::move(read.request);
}

void ReadOllama(OllamaKind kind, const std::string& body, const ApiAnswerHead& head,
                const ModelService& service, ServiceJob& job) {
  job.request = ReadOllamaRequest(kind, body, job.seed);
  job.writer = OllamaWriter(kind, Named(head, service, job.request));
}

}  // namespace

std::string ErrorBodyOf(Dialect dialect, const ApiError& error) {
  switch (dialect) {
    case Dialect::kAnthropic:
      return AnthropicErrorBody(error);
    case Dialect::kOllama:
      return OllamaErrorBody(error);
    case Dialect::kOpenAi:
      break;
  }
  return ApiErrorBody(error);
}

void ReadChatJob(const std::string& body, const ApiAnswerHead& head, const ModelService& service,
                 ServiceJob& job) {
  ReadOpenAi(ApiKind::kChat, body, head, service, job);
}

void ReadCompletionJob(const std::string& body, const ApiAnswerHead& head,
                       const ModelService& service, ServiceJob& job) {
  ReadOpenAi(ApiKind::kCompletion, body, head, service, job);
}

void ReadEmbeddingsJob(const std::string& body, const ApiAnswerHead& head,
                       const ModelService& service, ServiceJob& job) {
  const EmbeddingsRequest read = ReadEmbeddingsRequest(body);
  const int64_t width = service.model().model.config.width;
  if (read.dimensions > width)
    throw BadValue("dimensions", Cat("must be at most ", width, ", the model's width"));
  job.writer = EmbeddingsWriter(Named(head, service, read.request), read);
  job.request = read.request;
}

void ReadResponsesJob(const std::string& body, const ApiAnswerHead& head,
                      const ModelService& service, ServiceJob& job) {
  const ResponsesRequest read = ReadResponsesRequest(body, job.seed);
  job.writer = ResponsesWriter(Named(head, service, read.request), read);
  job.request = read.request;
}

void ReadAnthropicJob(const std::string& body, const ApiAnswerHead& head,
                      const ModelService& service, ServiceJob& job) {
  job.request = ReadAnthropicRequest(body, job.seed, false);
  job.writer = AnthropicWriter(Named(head, service, job.request));
}

void ReadLlamaCppJob(const std::string& body, const ApiAnswerHead& head,
                     const ModelService& service, ServiceJob& job) {
  TakeLlamaCpp(ReadLlamaCppRequest(body, job.seed, service.model().tokenizer,
                                   PromptReader::CountLimit(service.context())),
               head, service, job);
}

void ReadInfillJob(const std::string& body, const ApiAnswerHead& head, const ModelService& service,
                   ServiceJob& job) {
  TakeLlamaCpp(ReadInfillRequest(body, job.seed, service.model().tokenizer,
                                 PromptReader::CountLimit(service.context())),
               head, service, job);
}

void ReadOllamaGenerateJob(const std::string& body, const ApiAnswerHead& head,
                           const ModelService& service, ServiceJob& job) {
  ReadOllama(OllamaKind::kGenerate, body, head, service, job);
}

void ReadOllamaChatJob(const std::string& body, const ApiAnswerHead& head,
                       const ModelService& service, ServiceJob& job) {
  ReadOllama(OllamaKind::kChat, body, head, service, job);
}

}  // namespace retort
