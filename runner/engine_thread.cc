// SPDX-License-Identifier: Apache-2.0
#include "runner/engine_thread.h"

#include "base/error.h"

namespace retort {

EngineThread::EngineThread(Engine& engine, int64_t most)
    : engine_(engine), most_(most), counts_(engine.counts()) {
  thread_ = std::thread([this] { Loop(); });
}

EngineThread::~EngineThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

std::optional<EngineThread::Ticket> EngineThread::Submit(GenerationRequest request,
                                                         OnFailure on_failure) {
  const std::lock_guard lock(mutex_);
  if (present_ >= most_) return std::nullopt;
  ++present_;
  submitted_.push_back({++last_ticket_, std::move(request), std::move(on_failure)});
  changed_.notify_one();
  return last_ticket_;
}

void EngineThread::Cancel(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  cancelled_.push_back(ticket);
  changed_.notify_one();
}

EngineCounts EngineThread::counts() const {
  const std::lock_guard lock(mutex_);
  EngineCounts counts = counts_;
  counts.queued += static_cast<int64_t>(submitted_.size());
  return counts;
}

void EngineThread::Loop() {
  for (;;) {
    std::vector<Job> submitted;
    std::vector<Ticket> cancelled;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] {
        return stopping_ || !submitted_.empty() || !cancelled_.empty() || !running_.empty();
      });
      if (stopping_) break;
      submitted.swap(submitted_);
      cancelled.swap(cancelled_);
    }
    for (Job& job : submitted) Start(std::move(job));
    for (const Ticket ticket : cancelled) {
      const auto at = running_.find(ticket);
      if (at == running_.end()) continue;
      engine_.Cancel(at->second.id);
      End(ticket);
    }
    Step();
    Publish();
  }
  const Error reason = Failure("the server is stopping");
  FailAll(reason);
  for (const Job& job : submitted_) job.on_failure(reason);
}

void EngineThread::Start(Job job) {
  const Ticket ticket = job.ticket;
  job.request.on_event =
      [this, ticket, on_event = std::move(job.request.on_event)](const GenerationEvent& event) {
        const bool go_on = on_event(event);
        if (!go_on || event.finish != FinishReason::kNone) End(ticket);
        return go_on;
      };
  try {
    const Engine::RequestId id = engine_.Submit(std::move(job.request));
    running_[ticket] = {id, std::move(job.on_failure)};
  } catch (const std::exception& e) {
    job.on_failure(e);
    End(ticket);
  }
}

void EngineThread::Step() {
  try {
    engine_.Step();
  } catch (const std::exception& e) {
    FailAll(e);
  }
}

void EngineThread::FailAll(const std::exception& reason) {
  while (!running_.empty()) {
    const auto [ticket, running] = *running_.begin();
    engine_.Cancel(running.id);
    running.on_failure(reason);
    End(ticket);
  }
}

void EngineThread::End(Ticket ticket) {
  running_.erase(ticket);
  const std::lock_guard lock(mutex_);
  --present_;
}

void EngineThread::Publish() {
  const EngineCounts counts = engine_.counts();
  const std::lock_guard lock(mutex_);
  counts_ = counts;
}

}  // namespace retort
