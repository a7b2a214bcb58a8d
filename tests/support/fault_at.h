// SPDX-License-Identifier: Apache-2.0
// Hooks for base/file_faults.h: the k-th change of the disk fails, is cut short, or is the end of
// the process. A test drives its code at k = 0, 1, 2 ... until a run makes no more than k changes.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>

#include "base/file_faults.h"

namespace retort {

enum class Fault {
  kNoSpace,      // ENOSPC at the k-th change and all later ones, as on a full disk
  kInputOutput,  // EIO at the k-th change only
  kShort,        // from the k-th on, no call writes more than 3 bytes; no error
  kCrash,        // the process ends in place of the k-th change
};

// Installs the fault for its lifetime; k counts from 0. For kCrash see CrashesAt.
class FaultAt {
 public:
  FaultAt(int64_t k, Fault fault)
      : faults_([this, k, fault](FileChange change, const Path&) {
          return Verdict(count_++, k, fault, change);
        }) {}

  static constexpr int kCrashed = 77;  // exit status

  // The changes asked for so far. If at most k, the fault was never met.
  int64_t changes() const { return count_; }

 private:
  static FileVerdict Verdict(int64_t now, int64_t k, Fault fault, FileChange change) {
    if (now < k) return {};
    switch (fault) {
      case Fault::kNoSpace:
        return {.error = ENOSPC};
      case Fault::kInputOutput:
        return {.error = now == k ? EIO : 0};
      case Fault::kShort:
        return {.most = change == FileChange::kWrite ? size_t{3} : SIZE_MAX};
      case Fault::kCrash:
        ::_exit(kCrashed);
    }
    return {};
  }

  std::atomic<int64_t> count_{0};
  FileFaults faults_;
};

// Runs the body in a child process that ends, as if killed, in place of its k-th change of the
// disk. Returns whether it did; false means that the body ran to its end with fewer changes. The
// child has the calling thread only: the body must make the thread pools that it uses.
inline bool CrashesAt(int64_t k, const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 1;
    try {
      const FaultAt fault(k, Fault::kCrash);
      body();
      status = 0;
    } catch (...) {
    }
    ::_exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == FaultAt::kCrashed;
}

}  // namespace retort
