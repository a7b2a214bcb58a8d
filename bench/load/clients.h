// SPDX-License-Identifier: Apache-2.0
// Threads and open files of many clients.
#pragma once

#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace retort {

// Threads that the destructor waits for.
class Crew {
 public:
  Crew() = default;
  ~Crew() { Join(); }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Starts one more; false if the system has no more.
  bool Add(std::function<void()> work);
  void Join();
  int64_t size() const { return static_cast<int64_t>(threads_.size()); }

 private:
  std::vector<std::thread> threads_;
};

// How many connections the process may have, after raising its limit of open files as far as it
// may.
int64_t AllowedConnections();

}  // namespace retort
