// SPDX-License-Identifier: Apache-2.0
#include "base/user_folder.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace retort {

std::optional<Path> UserFolder(const char* variable, const Path& otherwise) {
  const char* own = std::getenv(variable);
  if (own && *own == '/') return Path(own) / "retort";
  const char* home = std::getenv("HOME");
  std::vector<char> buffer(1 << 14);
  passwd entry, *found = nullptr;
  if ((!home || *home != '/') &&
      ::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found)
    home = found->pw_dir;
  if (!home || *home != '/') return std::nullopt;
  return Path(home) / otherwise / "retort";
}

}  // namespace retort
