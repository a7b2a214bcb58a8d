// SPDX-License-Identifier: Apache-2.0
// Holds back the end of a served answer until the probabilities of its choices are known.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "runner/engine/field_probabilities.h"
#include "runner/engine/tickets.h"
#include "runner/service/model_service.h"

namespace retort {

// All functions are called on the engine's thread.
class FieldScoring : public std::enable_shared_from_this<FieldScoring> {
 public:
  struct Client {
    // Gets the answer's events. fields: with the last event, if the answer is whole.
    std::function<bool(const GenerationEvent& event, std::optional<std::vector<FieldChoice>>)> tell;
    EngineThread::OnFailure fail;
  };
  // The service outlives it.
  FieldScoring(ModelService& service, ChoiceRule rule, const GenerationRequest& asked,
               std::shared_ptr<Tickets> tickets, Client client);

  bool OnEvent(const GenerationEvent& event);

 private:
  void StartMore();
  // False: there is no room, and the client has been told.
  bool Start(size_t stream, std::shared_ptr<ServerPlaces> place);
  void Take(size_t stream, std::span<const double> scores);

  ModelService& service_;
  const ChoiceRule rule_;
  GenerationRequest asked_;  // what is needed of it
  const std::shared_ptr<Tickets> tickets_;
  const Client client_;
  std::vector<int32_t> answer_;
  GenerationEvent last_;
  std::optional<FieldProbabilities> fields_;
  size_t next_ = 0, running_ = 0;  // streams
};

}  // namespace retort
