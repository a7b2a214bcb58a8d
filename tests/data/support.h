// SPDX-License-Identifier: Apache-2.0
// Shared by the data tests: temporary files, and the text of an error.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace retort {

// A folder of its own for each test, gone when the test is.
class TempFolder {
 public:
  TempFolder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::temp_directory_path() /
            Cat("retort-", getpid(), "-", test->test_suite_name(), "-", test->name());
    std::filesystem::create_directories(path_);
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  const Path& path() const { return path_; }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  Path Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }

 private:
  Path path_;
};

// 0, 1, ... count - 1
inline std::vector<int64_t> CountTo(int64_t count) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

// The message of the input error that body throws, the folder of `file` taken away; "" when none.
template <class Body>
std::string InputFault(const Body& body, const Path& file = {}) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput) << e.what();
    const std::string folder = file.parent_path().string() + "/";
    return folder == "/" ? e.what() : ReplaceAll(e.what(), folder, "");
  }
  return "";
}

}  // namespace retort
