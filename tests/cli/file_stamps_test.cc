// SPDX-License-Identifier: Apache-2.0
#include "cli/file_stamps.h"

#include <gtest/gtest.h>

#include "tests/data/support.h"

namespace retort {
namespace {

TEST(FileStamps, AreOfAllThatAPathStandsFor) {
  const TempFolder folder;
  const Path part = folder.Write("m-00001-of-00002.gguf", "a");
  folder.Write("m-00002-of-00002.gguf", "b");
  folder.Write("n-00002-of-00002.gguf", "of another model");
  std::filesystem::create_directories(folder.path() / "adapter/deeper");
  folder.Write("adapter/deeper/weights", "c");
  const std::vector<Path> paths = {part, folder.path() / "adapter", folder.path() / "none"};
  const std::string before = FileStamps(paths);
  EXPECT_EQ(FileStamps(paths), before);
  folder.Write("n-00002-of-00002.gguf", "changed");
  EXPECT_EQ(FileStamps(paths), before);
  folder.Write("m-00002-of-00002.gguf", "changed");
  const std::string after = FileStamps(paths);
  EXPECT_NE(after, before);
  folder.Write("adapter/deeper/weights", "changed");
  EXPECT_NE(FileStamps(paths), after);
}

}  // namespace
}  // namespace retort
