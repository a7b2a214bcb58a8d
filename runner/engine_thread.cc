// SPDX-License-Identifier: Apache-2.0
#include "runner/engine_thread.h"

#include "base/error.h"

namespace retort {
namespace {

// Calls on_failure with the exception. What on_failure throws has nobody left to be told to: the
// request is over, and the others must not hear of it.
void Report(const EngineThread::OnFailure& on_failure, const std::exception_ptr& reason) {
  try {
    try {
      std::rethrow_exception(reason);
    } catch (const std::exception& e) {
      on_failure(e);
    } catch (...) {
      on_failure(Failure("the request failed"));
    }
  } catch (...) {  // NOLINT(bugprone-empty-catch)
  }
}

}  // namespace

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
  const auto reason = std::make_exception_ptr(Failure("the server is stopping"));
  FailAll(reason);
  for (const Job& job : submitted_) Report(job.on_failure, reason);
}

void EngineThread::Start(Job job) {
  const Ticket ticket = job.ticket;
  job.request.on_event =
      [this, ticket, on_event = std::move(job.request.on_event)](const GenerationEvent& event) {
        return Tell(ticket, on_event, event);
      };
  Running& running = running_[ticket];
  running.on_failure = std::move(job.on_failure);
  try {
    running.id = engine_.Submit(std::move(job.request));
  } catch (...) {
    Fail(ticket, std::current_exception());
  }
}

// The engine ends the streams that a failure concerns by itself. What it throws is a bug, after
// which it is not known which streams are whole.
void EngineThread::Step() {
  try {
    engine_.Step();
  } catch (...) {
    FailAll(std::current_exception());
  }
}

bool EngineThread::Tell(Ticket ticket, const OnEvent& on_event, const GenerationEvent& event) {
  if (event.finish == FinishReason::kFailed) {
    Fail(ticket, event.error);
    return false;
  }
  try {
    const bool goes_on = on_event(event);
    if (!goes_on || event.finish != FinishReason::kNone) End(ticket);
    return goes_on;
  } catch (...) {
    Fail(ticket, std::current_exception());
    return false;
  }
}

void EngineThread::Fail(Ticket ticket, const std::exception_ptr& reason) {
  Report(running_.at(ticket).on_failure, reason);
  End(ticket);
}

void EngineThread::FailAll(const std::exception_ptr& reason) {
  while (!running_.empty()) {
    const auto& [ticket, running] = *running_.begin();
    engine_.Cancel(running.id);
    Fail(ticket, reason);
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
