// SPDX-License-Identifier: Apache-2.0
#include "runner/service/field_scoring.h"

namespace retort {
namespace {

constexpr size_t kMostWidth = 8;  // streams at once

}  // namespace

FieldScoring::FieldScoring(ModelService& service, ChoiceRule rule, const GenerationRequest& asked,
                           std::shared_ptr<Tickets> tickets, Client client)
    : service_(service),
      rule_(std::move(rule)),
      tickets_(std::move(tickets)),
      client_(std::move(client)) {
  asked_.prompt = asked.prompt;
  asked_.adapter = asked.adapter;
}

bool FieldScoring::OnEvent(const GenerationEvent& event) {
  answer_.insert(answer_.end(), event.ids.begin(), event.ids.end());
  if (event.finish != FinishReason::kStop) return client_.tell(event, std::nullopt);
  last_ = event;
  fields_.emplace(rule_, asked_, answer_, service_.model().tokenizer);
  if (fields_->streams() == 0) return client_.tell(last_, fields_->Result());
  StartMore();
  return false;
}

// The first stream has the answer's own place among the server's.
void FieldScoring::StartMore() {
  while (next_ < fields_->streams() && running_ < kMostWidth) {
    std::shared_ptr<ServerPlaces> place;
    if (running_ > 0) {
      place = service_.TakePlace();
      if (!place) return;
    }
    if (!Start(next_++, std::move(place))) return;
  }
}

bool FieldScoring::Start(size_t stream, std::shared_ptr<ServerPlaces> place) {
  const auto self = shared_from_this();
  GenerationRequest request = fields_->Request(stream);
  request.on_event = [self, stream, place](const GenerationEvent& event) mutable {
    place.reset();
    self->Take(stream, event.scores);
    return true;
  };
  const auto ticket = service_.engine().Submit(std::move(request), client_.fail);
  if (!ticket) {
    client_.fail(QueueFull());
    return false;
  }
  ++running_;
  tickets_->Add(*ticket);
  return true;
}

void FieldScoring::Take(size_t stream, std::span<const double> scores) {
  fields_->Take(stream, scores);
  --running_;
  StartMore();
  if (running_ == 0 && next_ == fields_->streams()) client_.tell(last_, fields_->Result());
}

}  // namespace retort
