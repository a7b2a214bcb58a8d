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
  return std::max(
      1, std::min<int>(mask, static_cast<int>(std::ceil(std::min(1e6, CgroupProcessors())))));
}

// Note [Rounds]. A call of For() is a round. Its pieces are taken from one counter by the caller and
// by whichever workers enter while the round is open; the caller closes it when no piece is left and
// waits only for those inside. So a worker that sleeps through a short round delays nobody.
struct ThreadPool::State {
  static constexpr uint64_t kOpen = uint64_t{1}
                                    << 63;  // of gate; its low bits count the workers inside
  static constexpr int kSpins = 4000;       // some 50 us: longer than the gap between two ops

  std::vector<std::thread> workers;
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<uint64_t> round{0};  // grows by one for every For()
  std::atomic<uint64_t> gate{0};
  std::atomic<int> sleepers{0};
  std::atomic<bool> stop{false};

  // Of the open round; written before the gate opens.
  const std::function<void(int64_t, int)>* body = nullptr;
  int64_t pieces = 0;
  std::atomic<int64_t> next{0};
  std::exception_ptr failure;

  void Take(int worker) {
    current_worker = worker;
    try {
      for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < pieces;)
        (*body)(i, worker);
    } catch (...) {
      next = pieces;
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
    current_worker = -1;
  }

  bool Enter() {
    uint64_t g = gate.load();
    while (g & kOpen) {
      if (gate.compare_exchange_weak(g, g + 1)) return true;
    }
    return false;
  }

  void AwaitRoundAfter(uint64_t seen) {
    for (int i = 0; i < kSpins; ++i) {
      if (round.load() != seen || stop.load()) return;
      __builtin_ia32_pause();
    }
    std::unique_lock lock(mutex);
    ++sleepers;
    wake.wait(lock, [&] { return stop.load() || round.load() != seen; });
    --sleepers;
  }

  void Loop(int worker) {
    for (uint64_t seen = 0;;) {
      AwaitRoundAfter(seen);
      if (stop.load()) return;
      seen = round.load();
      if (!Enter()) continue;
      Take(worker);
      gate.fetch_sub(1);
    }
  }

  void Open(int64_t count, const std::function<void(int64_t, int)>& work) {
    body = &work;
    pieces = count;
    next = 0;
    failure = nullptr;
    gate = kOpen;
    ++round;
    if (sleepers.load() == 0) return;
    const std::lock_guard lock(mutex);  // a worker between its test and its sleep is past it now
    wake.notify_all();
  }

  void Close() {
    gate.fetch_and(~kOpen);
    for (int i = 0; gate.load() != 0; ++i) {
      if (i < kSpins)
        __builtin_ia32_pause();
      else
        std::this_thread::yield();
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
  s.Open(pieces, body);
  s.Take(0);
  s.Close();
  if (s.failure) std::rethrow_exception(s.failure);
}

}  // namespace retort
