// SPDX-License-Identifier: Apache-2.0
// --baseline, --record-baseline and what goes with them: the server's watch for drift.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner/drift/drift_watch.h"

namespace CLI {  // NOLINT: the library's own
class App;
}  // namespace CLI

namespace retort {

struct DriftFlags {
  std::string baseline, record;
  std::optional<int64_t> window;
  std::vector<std::string> refusals;

  void Add(CLI::App& command);
  // Reads the baseline. Throws Error{kInput} if it is faulty, if the file to be recorded is there
  // already, or if a flag has nothing to go with.
  DriftOptions Read() const;
};

}  // namespace retort
