// SPDX-License-Identifier: Apache-2.0
// Lets a long command end in order when it is asked to stop.
#pragma once

#include <csignal>

namespace retort {

// While it exists, the first SIGINT, SIGTERM or SIGHUP is only noted; a second one ends the process
// at once, as if nothing were caught. SIGHUP stays ignored if it was (nohup).
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The signal that has come; 0: none.
  static int Caught();

 private:
  struct sigaction before_[3];
};

}  // namespace retort
