// SPDX-License-Identifier: Apache-2.0
// Our own threads. Work is cut by its shape alone, never by the number of threads, so that the
// same bytes come out whatever that number is; threads only take the next piece.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace retort {

// The processors this process may use: the affinity mask and the cgroup's quota, at least 1.
int AvailableProcessors();

class ThreadPool {
 public:
  // threads >= 1, the caller's own among them; a pool of 1 starts none.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  // Whether the caller is a body of For() beside which others may run.
  static bool InRound();

  // Calls body(piece, worker) once for every piece in [0, pieces); worker in [0, threads()) says
  // whose workspace may be used. Returns when all are done; rethrows the first exception.
  // Pieces must not depend on each other. Not reentrant: a call from within a body runs inline
  // with the outer worker's number. One caller at a time.
  void For(int64_t pieces, const std::function<void(int64_t piece, int worker)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
