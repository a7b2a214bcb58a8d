// SPDX-License-Identifier: Apache-2.0
// --adapter and --adapter-root of serve: adapters that are part of the served model, and named ones
// beside it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/flags.h"
#include "cli/grammar_flags.h"
#include "runner/server/server.h"

namespace retort {

struct ServedAdapterFlags {
  AdapterFlags given;  // those without a name after Sort
  std::vector<std::pair<std::string, Path>> named;
  std::string root;

  void Add(CLI::App& command);
  // Parts the named ones, NAME=DIR, from the others. A folder that is there under the whole text,
  // and FOLDER=WEIGHT, are not named. Throws Error{kInput} for a root that is no folder.
  void Sort();
  std::vector<Path> named_folders() const;
};

// Whether there is a chat template: `name`, that of the adapter's folder (empty: none) or the
// model's own.
bool HasTemplate(const std::string& name, const OpenedModel& opened, const Path& chat_adapter);

// Opens adapters for a server of this model. All are borrowed.
AdapterOptions AdaptersFor(const ServedAdapterFlags& flags, const OpenedModel& opened,
                           const std::string& chat_template, const GrammarFlags& grammar,
                           const ComputeFlags& compute);

}  // namespace retort
