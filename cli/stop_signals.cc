// SPDX-License-Identifier: Apache-2.0
#include "cli/stop_signals.h"

#include <atomic>
#include <cstddef>
#include <iterator>

namespace retort {
namespace {

constexpr int kStopping[] = {SIGINT, SIGTERM, SIGHUP};

std::atomic<int> stop_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free);

// The next signal ends the process, also one that another thread takes at this moment.
extern "C" void NoteStopSignal(int number) {
  for (const int each : kStopping) std::signal(each, SIG_DFL);
  int none = 0;
  if (!stop_signal.compare_exchange_strong(none, number)) std::raise(number);
}

}  // namespace

StopSignals::StopSignals() {
  static_assert(std::size(kStopping) == sizeof before_ / sizeof *before_);
  stop_signal = 0;
  struct sigaction action {};
  action.sa_handler = NoteStopSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int each : kStopping) sigaddset(&action.sa_mask, each);
  for (size_t i = 0; i < std::size(kStopping); ++i) {
    sigaction(kStopping[i], nullptr, &before_[i]);
    if (kStopping[i] == SIGHUP && before_[i].sa_handler == SIG_IGN) continue;
    sigaction(kStopping[i], &action, nullptr);
  }
}

StopSignals::~StopSignals() {
  for (size_t i = 0; i < std::size(kStopping); ++i) sigaction(kStopping[i], &before_[i], nullptr);
}

int StopSignals::Caught() { return stop_signal; }

}  // namespace retort
