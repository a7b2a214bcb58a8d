// SPDX-License-Identifier: Apache-2.0
// The flags of commands that measure a model on rows in order to make a smaller one of it.
#pragma once

#include <string>
#include <vector>

#include "cli/flags.h"
#include "data/examples.h"

namespace retort {

struct CalibrationFlags {
  std::vector<std::string> data;
  std::string format = "auto", chat_template = "auto";
  int64_t rows = 128, max_tokens = 1024, batch_tokens = 2048;
  bool no_eos = false;

  // `cost` is added to the help of --rows; it may be empty. `name`: of the flag for the files,
  // which is returned.
  CLI::Option* Add(CLI::App& command, const std::string& cost, const std::string& name = "--data");
  // Throws Error{kInput} naming a flag of rows that is given although no file is; `name` as in Add.
  void RefuseUnused(const std::string& name) const;
  // The rows as the training sees them, longer ones cut; a file *.txt in pieces of --max-tokens.
  Examples Read(const OpenedModel& opened) const;

 private:
  std::vector<const CLI::Option*> of_rows_;
};

}  // namespace retort
