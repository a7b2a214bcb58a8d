// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/engine_thread.h"

#include "base/error.h"

namespace retort {
namespace {

constexpr const char* kStopping = "the server is stopping";

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
    const std::lock_guard lock(box_->mutex);
    stopping_ = true;
  }
  box_->changed.notify_one();
  thread_.join();
  std::vector<std::unique_ptr<const Adapter>> returned;
  const std::lock_guard lock(box_->mutex);
  box_->open = false;
  returned.swap(box_->returned);
}

std::optional<EngineThread::Ticket> EngineThread::Submit(GenerationRequest request,
                                                         OnFailure on_failure) {
  const std::lock_guard lock(box_->mutex);
  if (present_ >= most_) return std::nullopt;
  ++present_;
  submitted_.push_back({++last_ticket_, std::move(request), std::move(on_failure)});
  box_->changed.notify_one();
  return last_ticket_;
}

void EngineThread::Cancel(Ticket ticket) {
  const std::lock_guard lock(box_->mutex);
  cancelled_.push_back(ticket);
  box_->changed.notify_one();
}

void EngineThread::Run(const std::function<void()>& task) {
  std::packaged_task<void()> packaged(task);
  std::future<void> done = packaged.get_future();
  {
    const std::lock_guard lock(box_->mutex);
    if (stopping_) throw Failure(kStopping);
    tasks_.push_back(std::move(packaged));
    box_->changed.notify_one();
  }
  try {
    done.get();
  } catch (const std::future_error&) {  // the thread has ended without it
    throw Failure(kStopping);
  }
}

std::shared_ptr<const Adapter> EngineThread::Keep(std::unique_ptr<const Adapter> adapter) {
  const auto give_back = [box = box_](const Adapter* given) {
    std::unique_ptr<const Adapter> returned(given);
    const std::lock_guard lock(box->mutex);
    if (!box->open) return returned.reset();  // nobody computes any more
    box->returned.push_back(std::move(returned));
    box->changed.notify_one();
  };
  return {adapter.release(), give_back};
}

EngineCounts EngineThread::counts() const {
  const std::lock_guard lock(box_->mutex);
  EngineCounts counts = counts_;
  counts.queued += static_cast<int64_t>(submitted_.size());
  return counts;
}

void EngineThread::Loop() {
  for (;;) {
    std::vector<Job> submitted;
    std::vector<Ticket> cancelled;
    std::vector<std::packaged_task<void()>> tasks;
    std::vector<std::unique_ptr<const Adapter>> returned;  // and destroyed at the end of the round
    {
      std::unique_lock lock(box_->mutex);
      box_->changed.wait(lock, [this] {
        return stopping_ || !submitted_.empty() || !cancelled_.empty() || !running_.empty() ||
               !tasks_.empty() || !box_->returned.empty();
      });
      if (stopping_) break;
      submitted.swap(submitted_);
      cancelled.swap(cancelled_);
      tasks.swap(tasks_);
      returned.swap(box_->returned);
    }
    for (std::packaged_task<void()>& task : tasks) task();
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
  const auto reason = std::make_exception_ptr(Failure(kStopping));
  FailAll(reason);
  tasks_.clear();
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
  const std::lock_guard lock(box_->mutex);
  --present_;
}

void EngineThread::Publish() {
  const EngineCounts counts = engine_.counts();
  const std::lock_guard lock(box_->mutex);
  counts_ = counts;
}

}  // namespace retort
