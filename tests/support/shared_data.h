// SPDX-License-Identifier: Apache-2.0
// Real models, tokenizers and data for some tests. They are not part of the product. Tests that
// need them are skipped if they are absent.
#pragma once

#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/file.h"

namespace retort {

// $RETORT_SHARED/relative, or, without that variable, ../shared/relative beside the source tree.
// nullopt if it does not exist.
inline std::optional<Path> SharedData(std::string_view relative) {
  const char* named = std::getenv("RETORT_SHARED");
  const Path path = (named ? Path(named) : Path(RETORT_SOURCE_DIR) / ".." / "shared") / relative;
  return std::filesystem::exists(path) ? std::optional(path) : std::nullopt;
}

}  // namespace retort

#define RETORT_NEEDS(variable, relative)                                                   \
  const auto variable##_found = ::retort::SharedData(relative);                            \
  if (!variable##_found) GTEST_SKIP() << "needs shared/" << (relative) << ", not present"; \
  const ::retort::Path& variable = *variable##_found
