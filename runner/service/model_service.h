// SPDX-License-Identifier: Apache-2.0
// From a request in no API's own form to the engine, which answers it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/api/answer.h"
#include "runner/api/error.h"
#include "runner/api/request.h"
#include "runner/engine/engine_thread.h"
#include "runner/engine/field_probabilities.h"
#include "runner/engine/grammar_cache.h"
#include "runner/service/reply.h"
#include "runner/service/served_model.h"
#include "runner/service/served_names.h"

namespace retort {

ApiError QueueFull();

class ModelService;

// A request on its way to the engine.
struct ServiceJob {
  std::shared_ptr<ModelService> service;  // that it is for; kept to the answer's end
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
  // Opens the adapters that are to be there from the start. taken: the server's places that are
  // taken, which outlive it. owner: of what model and options refer to; null: that outlives it.
  ModelService(ServedModel model, const ServiceOptions& options, std::atomic<int64_t>& taken,
               std::shared_ptr<const void> owner = nullptr);

  const ServedModel& model() const { return base_->model(); }  // without the adapters beside it
  int64_t context() const { return engine_.context(); }
  bool keeps_prefixes() const { return engine_.keeps_prefixes(); }
  EngineCounts counts() const { return thread_.counts(); }
  std::unique_ptr<ServerPlaces> TakePlace() { return ServerPlaces::Take(taken_, 1, most_); }
  bool full() const { return taken_ >= most_; }

  // The rest is thread-safe. These throw ApiError, and then the job's exchange has had no answer.
  //
  // What clients may name, and what one of the names stands for: absent, the model.
  std::vector<std::shared_ptr<const ServedVariant>> variants() const { return names_.All(); }
  std::shared_ptr<const ServedVariant> Find(const std::optional<std::string>& name) const {
    return names_.Find(name);
  }
  void Submit(ServiceJob job);
  // Names and folders of the adapters, as AdapterOptions::loaded has them.
  std::vector<std::pair<std::string, Path>> adapters() const;
  // From now on requests may name it. Answers wait while its tensors are read.
  std::shared_ptr<const ServedVariant> LoadAdapter(const std::string& name, const Path& folder);
  // Requests may not name it any more. Those that have go on to their end; then its memory is free.
  void UnloadAdapter(const std::string& name) { names_.Remove(name); }
  // For those who ask the engine themselves: what a completion asks of it behind a prompt.
  // in_chat: the prompt is a chat's, so the end of a turn ends it.
  GenerationRequest GenerationOf(const ApiRequest& completion, const ServedVariant& variant,
                                 std::vector<int32_t> prompt, bool in_chat);
  EngineThread& engine() { return thread_; }

 private:
  std::shared_ptr<const ServedVariant> OpenAdapter(const std::string& name, const Path& folder);
  // What the request's answer is held to, as it says it or the variant does.
  std::optional<AnswerRule> RuleOf(const ApiRequest& request, const ServedVariant& variant) const;
  std::shared_ptr<const Grammar> GrammarOf(const ApiRequest& request, const ServedVariant& variant);
  // Of an answer whose choices' probabilities are asked for.
  ChoiceRule ChoicesOf(const ApiRequest& request, const ServedVariant& variant,
                       const GenerationRequest& generation) const;
  // What all the answers to a prompt share.
  GenerationRequest Generation(const ApiRequest& request, const ServedVariant& variant,
                               std::vector<int32_t> prompt, ServedVariant::MakeParser& parser);
  ReplyChoice Choice(const ApiRequest& request, const ServedVariant& variant, size_t index,
                     size_t prompt, const GenerationRequest& generation) const;
  // Throw ApiError 400 on what could never be served.
  void CheckPlaces(const ApiRequest& request) const;
  void CheckLogprobs(const ApiRequest& request,
                     const std::vector<std::vector<int32_t>>& prompts) const;
  void CheckSamplingIds(const SamplingOptions& sampling) const;

  const std::shared_ptr<const void> owner_;  // of what all the others refer to
  const ServiceOptions options_;
  const int64_t most_;  // places
  std::atomic<int64_t>& taken_;
  Engine engine_;
  const std::shared_ptr<const ServedVariant> base_;
  GrammarCache grammars_;
  ServedNames names_;
  EngineThread thread_;
};

}  // namespace retort
