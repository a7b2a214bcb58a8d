// SPDX-License-Identifier: Apache-2.0
#include "runner/server/dialects.h"

#include "base/error.h"
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

void ReadEmbeddings(const std::string& body, const ApiAnswerHead& head, const ModelService& service,
                    ServiceJob& job) {
  const EmbeddingsRequest read = ReadEmbeddingsRequest(body);
  const int64_t width = service.model().model.config.width;
  if (read.dimensions > width)
    throw BadValue("dimensions", Cat("must be at most ", width, ", the model's width"));
  job.writer = EmbeddingsWriter(Named(head, service, read.request), read);
  job.request = read.request;
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

void ReadJob(Endpoint endpoint, const std::string& body, const ApiAnswerHead& head,
             const ModelService& service, ServiceJob& job) {
  switch (endpoint) {
    case Endpoint::kChat:
    case Endpoint::kCompletion:
      job.request = ReadApiRequest(
          endpoint == Endpoint::kChat ? ApiKind::kChat : ApiKind::kCompletion, body, job.seed);
      job.writer =
          OpenAiWriter(Named(head, service, job.request), job.request, service.model().tokenizer);
      return;
    case Endpoint::kLlamaCppCompletion:
    case Endpoint::kInfill: {
      const auto reader = endpoint == Endpoint::kInfill ? ReadInfillRequest : ReadLlamaCppRequest;
      LlamaCppRequest read = reader(body, job.seed, service.model().tokenizer,
                                    PromptReader::CountLimit(service.context()));
      job.writer =
          LlamaCppWriter(Named(head, service, read.request), read, service.model().tokenizer);
      job.request = std::move(read.request);
      return;
    }
    case Endpoint::kEmbeddings:
      return ReadEmbeddings(body, head, service, job);
    case Endpoint::kResponses: {
      ResponsesRequest read = ReadResponsesRequest(body, job.seed);
      job.request = std::move(read.request);
      job.writer = ResponsesWriter(Named(head, service, job.request), read.echoed);
      return;
    }
    case Endpoint::kMessages:
      job.request = ReadAnthropicRequest(body, job.seed, false);
      job.writer = AnthropicWriter(Named(head, service, job.request));
      return;
    case Endpoint::kOllamaGenerate:
    case Endpoint::kOllamaChat: {
      const OllamaKind kind =
          endpoint == Endpoint::kOllamaChat ? OllamaKind::kChat : OllamaKind::kGenerate;
      job.request = ReadOllamaRequest(kind, body, job.seed);
      job.writer = OllamaWriter(kind, Named(head, service, job.request));
      return;
    }
    default:
      throw Failure("an endpoint that the engine does not answer");
  }
}

}  // namespace retort
