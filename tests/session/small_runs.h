// SPDX-License-Identifier: Apache-2.0
// Runs of a small model, which are stopped, killed and resumed.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "session/session.h"
#include "tests/formats/support.h"

namespace retort {

class SmallRuns : public ::testing::Test {
 protected:
  void SetUp() override;
  static std::string Rows(int count);
  Recipe RecipeOf(const std::vector<std::string>& settings) const;
  // Runs to its end, or until `kill_at` or `stop_at` is reached, where the process is "killed" (an
  // exception) or asked to stop.
  RunSummary Run(const std::string& name, const std::vector<std::string>& settings = {},
                 int64_t kill_at = 0, int64_t stop_at = 0) const;
  RunSummary RunUntil(const std::string& name, const std::vector<std::string>& settings,
                      int64_t kill_at, const std::function<bool(int64_t step)>& stop) const;
  // The hashes of the adapter's files.
  std::string AdapterOf(const std::string& run) const;
  // Steps and losses, which no clock changes.
  std::string Course(const std::string& run) const;
  std::vector<std::string> Checkpoints(const std::string& run) const;

  TemporaryFolder folder_;
};

}  // namespace retort
