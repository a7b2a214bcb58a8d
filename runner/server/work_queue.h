// SPDX-License-Identifier: Apache-2.0
// Two threads for work that would hold up the server's own: one for short jobs and one for long
// ones, so that a long job delays no short one.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace retort {

class WorkQueue {
 public:
  WorkQueue();
  ~WorkQueue() { Stop(); }
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Waits for the jobs that have begun. Drops the others, and all that are posted from then on.
  void Stop();

  // Jobs of a kind run one after the other, in their order. They must not throw. Any thread.
  void Post(bool is_long, std::function<void()> job);

 private:
  struct Lane {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> jobs;
    bool stopping = false;
    std::thread thread;
  };
  static void Work(Lane& lane);
  static void Stop(Lane& lane);

  Lane short_, long_;
};

}  // namespace retort
