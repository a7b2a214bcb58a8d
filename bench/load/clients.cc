// SPDX-License-Identifier: Apache-2.0
#include "bench/load/clients.h"

#include <sys/resource.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <utility>

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
  constexpr rlim_t kOtherFiles = 32;  // of the process: its streams, libraries, the page
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<int64_t>::max();
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit more{limit.rlim_max, limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &more) == 0) limit = more;
  }
  const rlim_t left = limit.rlim_cur - std::min(limit.rlim_cur, kOtherFiles);
  return static_cast<int64_t>(std::min<rlim_t>(left, std::numeric_limits<int64_t>::max()));
}

}  // namespace retort
