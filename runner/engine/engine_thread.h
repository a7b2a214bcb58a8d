// SPDX-License-Identifier: Apache-2.0
// A thread that runs an engine for requests from other threads.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "runner/engine/engine.h"

namespace retort {

class EngineThread {
 public:
  using Ticket = uint64_t;
  using OnEvent = decltype(GenerationRequest::on_event);
  using OnFailure = std::function<void(const std::exception& reason)>;

  // most: maximum number of requests, running and waiting together. Nothing else may use `engine`
  // or its model's backend during this object's lifetime.
  EngineThread(Engine& engine, int64_t most);
  // Fails all unfinished requests with "the server is stopping".
  ~EngineThread();
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  // Nullopt when there are too many requests. on_event and on_failure are called on the engine's
  // thread. The last call is an event with a finish reason or on_failure, unless on_event returned
  // false or the request was cancelled. on_failure takes the place of the event kFailed; a request
  // whose on_event throws fails with that. A failure ends no request but those that Engine names.
  std::optional<Ticket> Submit(GenerationRequest request, OnFailure on_failure);
  // Takes effect before the next step. Requests that have ended are ignored.
  void Cancel(Ticket ticket);
  // Calls the task on the engine's thread, between two steps, and waits for its end. Throws what it
  // throws, or that the server is stopping.
  void Run(const std::function<void()>& task);
  // The adapter, which is destroyed on the engine's thread between two steps, whoever gives it back
  // last: its memory is the backend's, which has one caller at a time.
  std::shared_ptr<const Adapter> Keep(std::unique_ptr<const Adapter> adapter);
  // As of the last step. Submitted requests that the engine does not have yet count as queued.
  EngineCounts counts() const;

 private:
  struct Job {
    Ticket ticket;
    GenerationRequest request;
    OnFailure on_failure;
  };
  struct Running {
    Engine::RequestId id = 0;
    OnFailure on_failure;
  };

  // What outlives the thread, for those who give adapters back.
  struct Mailbox {
    std::mutex mutex;
    std::condition_variable changed;
    // Guarded by the mutex.
    std::vector<std::unique_ptr<const Adapter>> returned;
    bool open = true;  // the thread takes what is returned
  };

  void Loop();
  void Start(Job job);
  void Step();
  // Tells a request what happened; false if that ended it.
  bool Tell(Ticket ticket, const OnEvent& on_event, const GenerationEvent& event);
  void Fail(Ticket ticket, const std::exception_ptr& reason);
  void FailAll(const std::exception_ptr& reason);
  void End(Ticket ticket);
  void Publish();

  Engine& engine_;
  const int64_t most_;
  const std::shared_ptr<Mailbox> box_ = std::make_shared<Mailbox>();
  // Guarded by the mailbox's mutex.
  std::vector<Job> submitted_;
  std::vector<std::packaged_task<void()>> tasks_;
  std::vector<Ticket> cancelled_;
  EngineCounts counts_;
  Ticket last_ticket_ = 0;
  int64_t present_ = 0;
  bool stopping_ = false;
  // Used by the engine's thread only.
  std::map<Ticket, Running> running_;
  std::thread thread_;
};

}  // namespace retort
