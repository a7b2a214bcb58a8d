// SPDX-License-Identifier: Apache-2.0
#include "base/machine.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace retort {
namespace {

// The number after `key` in a file of "key number" lines; -1 if there is none.
int64_t NumberAfter(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    int64_t value = -1;
    if (word == key) return file >> value ? value : -1;
  }
  return -1;
}

}  // namespace

int64_t AvailableMemory() {
  const int64_t kilobytes = NumberAfter("/proc/meminfo", "MemAvailable:");
  int64_t available = kilobytes < 0 ? 0 : kilobytes * 1024;
  int64_t limit = 0;
  const int64_t used = NumberAfter("/sys/fs/cgroup/memory.stat", "anon");
  if (used >= 0 && std::ifstream("/sys/fs/cgroup/memory.max") >> limit) {  // or "max"
    available = std::min(available, std::max<int64_t>(0, limit - used));
  }
  return available;
}

int64_t ResidentMemory() {
  return std::max<int64_t>(0, NumberAfter("/proc/self/status", "VmRSS:")) * 1024;
}

}  // namespace retort
