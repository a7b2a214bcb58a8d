// SPDX-License-Identifier: Apache-2.0
// main() for test programs that read foreign HDF5 files: ReadHdf5InChild starts the program anew.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <string_view>

#include "formats/hdf5_child.h"

namespace retort {

// Runs the tests, or is the child.
inline int RunTestsOrHdf5Child(int argc, char** argv) {
  if (argc == 6 && std::string_view(argv[1]) == kHdf5ChildCommand) {
    const bool values = std::string_view(argv[2]) == "values";
    ::_exit(RunHdf5Child(values ? Hdf5Wanted::kValues : Hdf5Wanted::kNames, std::stoll(argv[3]),
                         argv[5]));
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

}  // namespace retort
