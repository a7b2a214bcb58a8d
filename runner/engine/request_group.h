// SPDX-License-Identifier: Apache-2.0
// Requests whose answers are all wanted: what one of them fails with is thrown.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <vector>

#include "runner/engine/engine.h"

namespace retort {

class RequestGroup {
 public:
  // The engine must outlive it.
  explicit RequestGroup(Engine& engine) : engine_(engine) {}
  // Cancels those that have not ended.
  ~RequestGroup();
  RequestGroup(const RequestGroup&) = delete;
  RequestGroup& operator=(const RequestGroup&) = delete;

  // As Engine::Submit. The group outlives the request, so on_event may use what the group's owner
  // has. It is not called for a request that fails.
  void Submit(GenerationRequest request);
  // As Engine::Step. Throws what a request failed with.
  bool Step();
  // Steps until all have ended. Calls `on_progress` after each step with the number of those that
  // have ended.
  void Run(const std::function<void(int64_t ended)>& on_progress = {});
  // Those that on_event ended among them.
  int64_t ended() const { return ended_; }

 private:
  Engine& engine_;
  std::vector<Engine::RequestId> ids_;
  int64_t ended_ = 0;
  std::exception_ptr error_;
};

}  // namespace retort
