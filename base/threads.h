// SPDX-License-Identifier: Apache-2.0
// A thread pool. Callers divide work into pieces by its shape alone, never by the number of
// threads, so that results are the same bytes for any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace retort {

// The number of processors that this process may use, by its affinity mask and the cgroup's quota;
// at least 1.
int AvailableProcessors();
// So many threads, or one for each of these processors where none are asked for (0).
int ThreadsFor(int wanted);

// The largest number of threads that a user may ask for.
inline constexpr int kMostThreads = 1024;

// What a pool does with its work. kSkipped: nothing. For() returns without calling the body, so
// that code which leaves all work on values to its pool runs through, allocates what it would
// allocate, and computes nothing.
enum class PoolWork : uint8_t { kDone, kSkipped };

class ThreadPool {
 public:
  // threads >= 1 counts the calling thread too; a pool of 1, or one that skips its work, starts no
  // thread. Throws Error{kFailure} if the system does not give that many.
  explicit ThreadPool(int threads, PoolWork work = PoolWork::kDone);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  PoolWork work() const { return work_; }
  // True while called from a body that For() runs in parallel; false if For() runs its pieces
  // inline in the caller.
  static bool InRound();

  // Calls body(piece, worker) once for every piece in [0, pieces). worker in [0, threads())
  // identifies the thread, e.g. to select a workspace. Returns when all are done; rethrows the
  // first exception. Pieces must not depend on each other. A nested call from a body runs inline
  // with the outer worker's number. One caller at a time.
  void For(int64_t pieces, const std::function<void(int64_t piece, int worker)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
  const PoolWork work_;
};

}  // namespace retort
