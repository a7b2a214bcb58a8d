// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <string>

#include "base/error.h"
#include "bench/machine.h"

namespace retort {

int64_t PeakRssBytes() {
  // Not getrusage: its maximum is inherited from the process that started this one.
  std::ifstream status("/proc/self/status");
  std::string key;
  int64_t kib = 0;
  while (status >> key) {
    if (key == "VmHWM:" && status >> kib) return kib << 10;
  }
  throw Failure("/proc/self/status does not tell the peak of resident memory (VmHWM)");
}

}  // namespace retort
