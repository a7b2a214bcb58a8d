// SPDX-License-Identifier: Apache-2.0
// retort read-hdf5: started by Retort itself, as the process in which a foreign HDF5 file is read
// (formats/hdf5_child.h). Not for users, and not in the help.
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/commands.h"
#include "formats/hdf5_child.h"

namespace retort {

void AddReadHdf5(CLI::App& app) {
  CLI::App* command = app.add_subcommand(kHdf5ChildCommand)->group("");
  struct ChildFlags {
    std::string wanted, path;
    int64_t most_bytes = 0;
  };
  auto flags = std::make_shared<ChildFlags>();
  command->add_option("wanted", flags->wanted)->required();
  command->add_option("most_bytes", flags->most_bytes)->required();
  command->add_option("path", flags->path)->required();
  command->callback([flags] {
    const auto wanted = flags->wanted == "values" ? Hdf5Wanted::kValues : Hdf5Wanted::kNames;
    // What runs at exit is not fit for a confined process, nor to be run after hostile bytes.
    ::_exit(RunHdf5Child(wanted, flags->most_bytes, flags->path));
  });
}

}  // namespace retort
