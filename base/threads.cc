// SPDX-License-Identifier: Apache-2.0
#include "base/threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

namespace retort {
namespace {

// cgroup v2: "max 100000" or "150000 100000" (quota and period in microseconds).
double CgroupProcessors() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 1e9;
  return std::stod(quota) / period;
}

thread_local int current_worker = -1;  // within a body: whose workspace is in use

}  // namespace

int AvailableProcessors() {
  cpu_set_t set;
  const int mask = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return std::max(1, std::min<int>(mask, static_cast<int>(std::ceil(std::min(1e6, CgroupProcessors())))));
}

struct ThreadPool::State {
  std::vector<std::thread> workers;
  std::mutex mutex;
  std::condition_variable wake, done;
  uint64_t round = 0;  // grows by one for every For()
  bool stop = false;
  int running = 0;  // workers still inside the round
  const std::function<void(int64_t, int)>* body = nullptr;
  int64_t pieces = 0;
  std::atomic<int64_t> next{0};
  std::exception_ptr failure;

  void Take(int worker) {
    current_worker = worker;
    try {
      for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < pieces;) (*body)(i, worker);
    } catch (...) {
      next = pieces;
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
    current_worker = -1;
  }

  void Loop(int worker) {
    for (uint64_t seen = 0;;) {
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return stop || round != seen; });
        if (stop) return;
        seen = round;
      }
      Take(worker);
      const std::lock_guard lock(mutex);
      if (--running == 0) done.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  RETORT_CHECK(threads >= 1);
  for (int i = 1; i < threads; ++i) state_->workers.emplace_back([this, i] { state_->Loop(i); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  for (std::thread& t : state_->workers) t.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::For(int64_t pieces, const std::function<void(int64_t, int)>& body) {
  if (pieces <= 1 || state_->workers.empty() || current_worker >= 0) {
    const int worker = std::max(0, current_worker);
    for (int64_t i = 0; i < pieces; ++i) body(i, worker);
    return;
  }
  State& s = *state_;
  {
    const std::lock_guard lock(s.mutex);
    s.body = &body;
    s.pieces = pieces;
    s.next = 0;
    s.failure = nullptr;
    s.running = static_cast<int>(s.workers.size());
    ++s.round;
  }
  s.wake.notify_all();
  s.Take(0);
  std::unique_lock lock(s.mutex);
  s.done.wait(lock, [&] { return s.running == 0; });
  if (s.failure) std::rethrow_exception(s.failure);
}

}  // namespace retort
