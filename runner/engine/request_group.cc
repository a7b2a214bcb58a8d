// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/request_group.h"

namespace retort {

RequestGroup::~RequestGroup() {
  for (const Engine::RequestId id : ids_) engine_.Cancel(id);
}

void RequestGroup::Submit(GenerationRequest request) {
  request.on_event = [this, on_event = std::move(request.on_event)](const GenerationEvent& event) {
    if (event.error) error_ = event.error;
    const bool goes_on = !event.error && (!on_event || on_event(event));
    ended_ += !goes_on || event.finish != FinishReason::kNone;
    return goes_on;
  };
  ids_.push_back(engine_.Submit(std::move(request)));
}

bool RequestGroup::Step() {
  const bool stepped = engine_.Step();
  if (error_) std::rethrow_exception(error_);
  return stepped;
}

void RequestGroup::Run(const std::function<void(int64_t)>& on_progress) {
  while (Step()) {
    if (on_progress) on_progress(ended_);
  }
}

}  // namespace retort
