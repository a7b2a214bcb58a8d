// SPDX-License-Identifier: Apache-2.0
// From a request in no API's own form to the engine, which answers it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runner/api_answer.h"
#include "runner/chat_answer.h"
#include "runner/engine_thread.h"
#include "runner/grammar_cache.h"
#include "runner/server.h"
#include "runner/server_prompt.h"
#include "runner/server_reply.h"

namespace retort {

ApiError QueueFull();

// A request on its way to the engine.
struct ServiceJob {
  ApiRequest request;
  std::unique_ptr<AnswerWriter> writer;
  std::shared_ptr<HttpExchange> exchange;
  std::unique_ptr<ServerPlaces> places;         // one; more are taken for several answers
  std::chrono::steady_clock::time_point since;  // its arrival
  uint64_t seed = 0;                            // of what is drawn beside the answer's tokens
  std::function<void(const ReplyOutcome& outcome)> on_end;
};

class ModelService {
 public:
  // options must outlive it.
  ModelService(ServedModel model, const ServerOptions& options);

  const ServedModel& model() const { return model_; }
  const PromptReader& prompts() const { return prompts_; }
  int64_t context() const { return engine_.context(); }
  EngineCounts counts() const { return thread_.counts(); }
  std::unique_ptr<ServerPlaces> TakePlace() { return ServerPlaces::Take(taken_, 1, most_); }
  bool full() const { return taken_ >= most_; }

  // The rest is thread-safe. These throw ApiError, and then the job's exchange has had no answer.
  //
  // A model that is not served is refused; the name may be left out.
  void CheckModel(const std::optional<std::string>& name) const;
  // Prompts of a chat or of texts, as the engine would get them.
  std::vector<std::vector<int32_t>> PromptsOf(ApiRequest& request) const;
  // How many tokens a chat's prompt has, whether or not it fits.
  int64_t CountOf(ApiRequest& request) const;
  void Submit(ServiceJob job);
  // For those who ask the engine themselves: what a completion asks of it behind a prompt.
  // in_chat: the prompt is a chat's, so the end of a turn ends it.
  GenerationRequest GenerationOf(const ApiRequest& completion, std::vector<int32_t> prompt,
                                 bool in_chat);
  EngineThread& engine() { return thread_; }

 private:
  // What the request's answer is held to.
  std::shared_ptr<const Grammar> GrammarOf(const ApiRequest& request);
  // What all the answers to a prompt share. parser makes one for each.
  GenerationRequest Generation(const ApiRequest& request, std::vector<int32_t> prompt,
                               std::function<std::unique_ptr<AnswerParser>()>& parser);
  ReplyChoice Choice(const ApiRequest& request, size_t index, size_t prompt,
                     const GenerationRequest& generation) const;
  // Throw ApiError 400 on what could never be served.
  void CheckPlaces(const ApiRequest& request) const;
  void CheckLogprobs(const ApiRequest& request,
                     const std::vector<std::vector<int32_t>>& prompts) const;
  void CheckSamplingIds(const SamplingOptions& sampling) const;

  const ServedModel model_;
  const ServerOptions& options_;
  const int64_t most_;  // places
  std::atomic<int64_t> taken_{0};
  Engine engine_;
  PromptReader prompts_;
  GrammarCache grammars_;
  int32_t end_of_turn_ = -1;
  std::optional<ChatAnswers> answers_;  // if there is a template
  EngineThread thread_;
};

}  // namespace retort
