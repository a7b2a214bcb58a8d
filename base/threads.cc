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

thread_local int current_worker = -1;  // inside a body of For(): its worker number

}  // namespace

int AvailableProcessors() {
  cpu_set_t set;
  const int mask = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return std::max(
      1, std::min<int>(mask, static_cast<int>(std::ceil(std::min(1e6, CgroupProcessors())))));
}

int ThreadsFor(int wanted) { return wanted > 0 ? wanted : AvailableProcessors(); }

// Note [Rounds]. A parallel call of For() is a round. Each worker gets a share of consecutive
// pieces, so that it reads memory sequentially. A worker that has finished its share takes pieces
// from the end of the others' shares. The calling thread works too; when no pieces are left it
// closes the round and waits only for workers that have entered it. So a worker that is still
// asleep during a short round delays nobody.
struct ThreadPool::State {
  // Flag in `gate`; the low bits of `gate` count the workers inside the round.
  static constexpr uint64_t kOpen = uint64_t{1} << 63;
  static constexpr int kSpins = 4000;  // about 50 us: longer than the gap between two kernels

  // The pieces [begin, end) not yet taken: begin in the high 32 bits, end in the low 32 bits.
  struct alignas(64) Share {
    std::atomic<uint64_t> pieces{0};

    void Set(int64_t begin, int64_t end) {
      pieces = static_cast<uint64_t>(begin) << 32 | static_cast<uint64_t>(end);
    }
    // Takes the first piece (the owner) or the last one (others); -1 when none is left.
    int64_t Take(bool first) {
      for (uint64_t now = pieces.load(std::memory_order_relaxed);;) {
        const uint64_t begin = now >> 32, end = now & UINT32_MAX;
        if (begin >= end) return -1;
        const uint64_t then = first ? (begin + 1) << 32 | end : now - 1;
        if (pieces.compare_exchange_weak(now, then, std::memory_order_relaxed)) {
          return static_cast<int64_t>(first ? begin : end - 1);
        }
      }
    }
  };

  std::vector<std::thread> workers;
  std::vector<Share> shares;  // one per worker; set before the gate opens
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<uint64_t> round{0};  // incremented for every round
  std::atomic<uint64_t> gate{0};
  std::atomic<int> sleepers{0};
  std::atomic<bool> stop{false};

  // State of the open round; written before the gate opens.
  const std::function<void(int64_t, int)>* body = nullptr;
  std::exception_ptr failure;

  explicit State(int threads) : shares(static_cast<size_t>(threads)) {}

  // The workers use this object, so it may not be destroyed before Stop().
  void Start() {
    workers.reserve(shares.size());
    for (int i = 1; i < static_cast<int>(shares.size()); ++i) {
      workers.emplace_back([this, i] { Loop(i); });
    }
  }

  void Stop() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    wake.notify_all();
    for (std::thread& t : workers) t.join();
    workers.clear();
  }

  void Take(int worker) {
    current_worker = worker;
    try {
      for (size_t turn = 0; turn < shares.size(); ++turn) {
        Share& share = shares[(static_cast<size_t>(worker) + turn) % shares.size()];
        for (int64_t i; (i = share.Take(turn == 0)) >= 0;) (*body)(i, worker);
      }
    } catch (...) {
      for (Share& share : shares) share.Set(0, 0);
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
    const auto threads = static_cast<int64_t>(shares.size());
    for (int64_t i = 0; i < threads; ++i) {
      shares[static_cast<size_t>(i)].Set(count * i / threads, count * (i + 1) / threads);
    }
    failure = nullptr;
    gate = kOpen;
    ++round;
    if (sleepers.load() == 0) return;
    // With the lock held, no worker is between testing `round` and going to sleep.
    const std::lock_guard lock(mutex);
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

ThreadPool::ThreadPool(int threads, PoolWork work) : work_(work) {
  RETORT_CHECK(threads >= 1);
  state_ = std::make_unique<State>(threads);
  if (work == PoolWork::kSkipped) return;
  try {
    state_->Start();
  } catch (const std::exception& e) {  // the system gives no more threads, or no memory
    const size_t started = state_->workers.size();
    state_->Stop();
    throw Failure(threads, " threads: only ", started + 1, " can be had (", e.what(),
                  "); ask for fewer with --threads");
  }
}

ThreadPool::~ThreadPool() { state_->Stop(); }

int ThreadPool::threads() const { return static_cast<int>(state_->shares.size()); }

bool ThreadPool::InRound() { return current_worker >= 0; }

void ThreadPool::For(int64_t pieces, const std::function<void(int64_t, int)>& body) {
  if (work_ == PoolWork::kSkipped) return;
  if (pieces <= 1 || state_->workers.empty() || current_worker >= 0) {
    const int worker = std::max(0, current_worker);
    for (int64_t i = 0; i < pieces; ++i) body(i, worker);
    return;
  }
  RETORT_CHECK(pieces <= INT32_MAX, pieces, " pieces in one parallel pass");
  State& s = *state_;
  s.Open(pieces, body);
  s.Take(0);
  s.Close();
  if (s.failure) std::rethrow_exception(s.failure);
}

}  // namespace retort
