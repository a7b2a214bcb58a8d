// SPDX-License-Identifier: Apache-2.0
// What the engine has of one request.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runner/engine/engine_thread.h"

namespace retort {

// The generations of one request, to be cancelled together. Thread-safe.
class Tickets {
 public:
  explicit Tickets(std::shared_ptr<EngineThread> thread) : thread_(std::move(thread)) {}

  void Add(EngineThread::Ticket ticket) {
    const std::lock_guard lock(mutex_);
    cancelled_ ? thread_->Cancel(ticket) : tickets_.push_back(ticket);
  }
  void CancelAll() {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    for (const EngineThread::Ticket ticket : tickets_) thread_->Cancel(ticket);
    tickets_.clear();
  }

 private:
  const std::shared_ptr<EngineThread> thread_;
  std::mutex mutex_;
  std::vector<EngineThread::Ticket> tickets_;
  bool cancelled_ = false;
};

}  // namespace retort
