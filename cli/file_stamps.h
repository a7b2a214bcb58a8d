// SPDX-License-Identifier: Apache-2.0
// Whether files have changed, without reading them.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"

namespace retort {

// Names, sizes and times of these files, of those in these folders and below, and of all parts of a
// GGUF that is in several files. What is not there has none.
std::string FileStamps(const std::vector<Path>& paths);

}  // namespace retort
