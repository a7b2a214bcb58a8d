// SPDX-License-Identifier: Apache-2.0
#include "bench/load/clients.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <utility>

#include "base/open_files.h"

namespace retort {

bool Crew::Add(std::function<void()> work) {
  try {
    threads_.emplace_back(std::move(work));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void Crew::Join() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

int64_t AllowedConnections() {
  constexpr uint64_t kOtherFiles = 32;  // of the process: its streams, libraries, the page
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  const uint64_t files = RaiseOpenFiles(kMost);
  return static_cast<int64_t>(std::min(files - std::min(files, kOtherFiles), kMost));
}

}  // namespace retort
