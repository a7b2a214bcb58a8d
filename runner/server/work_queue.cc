// SPDX-License-Identifier: Apache-2.0
#include "runner/server/work_queue.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace retort {
namespace {

// Makes this thread yield to others, such as the engine's, which compute for clients who are
// already served. Best effort: without it they are merely slower.
void YieldToOthers() {
  constexpr int kNiceness = 10;
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNiceness);
}

}  // namespace

WorkQueue::WorkQueue() {
  short_.thread = std::thread([this] { Work(short_); });
  try {
    long_.thread = std::thread([this] {
      YieldToOthers();
      Work(long_);
    });
  } catch (...) {
    Stop(short_);
    throw;
  }
}

void WorkQueue::Stop() {
  Stop(short_);
  Stop(long_);
}

void WorkQueue::Stop(Lane& lane) {
  {
    const std::lock_guard lock(lane.mutex);
    lane.stopping = true;
  }
  lane.changed.notify_one();
  if (lane.thread.joinable()) lane.thread.join();
  lane.jobs.clear();
}

void WorkQueue::Post(bool is_long, std::function<void()> job) {
  Lane& lane = is_long ? long_ : short_;
  {
    const std::lock_guard lock(lane.mutex);
    if (lane.stopping) return;
    lane.jobs.push_back(std::move(job));
  }
  lane.changed.notify_one();
}

void WorkQueue::Work(Lane& lane) {
  for (;;) {
    std::function<void()> job;
    {
      std::unique_lock lock(lane.mutex);
      lane.changed.wait(lock, [&] { return lane.stopping || !lane.jobs.empty(); });
      if (lane.stopping) return;
      job = std::move(lane.jobs.front());
      lane.jobs.pop_front();
    }
    job();
  }
}

}  // namespace retort
