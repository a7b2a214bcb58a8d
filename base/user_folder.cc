// SPDX-License-Identifier: Apache-2.0
#include "base/user_folder.h"

#include <pwd.h>
#include <sys/stat.h>
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

bool IsOwnFolder(const Path& folder) {
  std::error_code ignored;
  if (!std::filesystem::exists(folder, ignored)) {
    std::filesystem::create_directories(folder.parent_path(), ignored);
    if (::mkdir(folder.c_str(), 0700) != 0) return false;
  }
  struct stat info;
  return ::lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
         info.st_uid == ::geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
         ::access(folder.c_str(), W_OK | X_OK) == 0;
}

}  // namespace retort
