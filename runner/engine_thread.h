// SPDX-License-Identifier: Apache-2.0
// A thread that owns an engine and runs what other threads hand it.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "runner/engine.h"

namespace retort {

class EngineThread {
 public:
  using Ticket = uint64_t;
  using OnFailure = std::function<void(const std::exception& reason)>;

  // most: requests at once, running and waiting. `engine` and its model's backend are this object's
  // alone until it is gone.
  EngineThread(Engine& engine, int64_t most);
  // Fails what is under way with "the server is stopping".
  ~EngineThread();
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  // Nullopt when there are too many. on_event and on_failure are called on the engine's thread; the
  // last call is either an event with a finish or on_failure, unless on_event returned false or the
  // request was cancelled. A failure of one step fails all that were in it, and later ones start
  // afresh.
  std::optional<Ticket> Submit(GenerationRequest request, OnFailure on_failure);
  // Takes effect before the next step; what has ended already is ignored.
  void Cancel(Ticket ticket);
  // As of the last step. Requests still on their way to the engine count as queued.
  EngineCounts counts() const;

 private:
  struct Job {
    Ticket ticket;
    GenerationRequest request;
    OnFailure on_failure;
  };
  struct Running {
    Engine::RequestId id;
    OnFailure on_failure;
  };

  void Loop();
  void Start(Job job);
  void Step();
  void FailAll(const std::exception& reason);
  void End(Ticket ticket);
  void Publish();

  Engine& engine_;
  const int64_t most_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Under the mutex.
  std::vector<Job> submitted_;
  std::vector<Ticket> cancelled_;
  EngineCounts counts_;
  Ticket last_ticket_ = 0;
  int64_t present_ = 0;
  bool stopping_ = false;
  // The thread's own.
  std::map<Ticket, Running> running_;
  std::thread thread_;
};

}  // namespace retort
