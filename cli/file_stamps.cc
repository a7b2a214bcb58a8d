// SPDX-License-Identifier: Apache-2.0
#include "cli/file_stamps.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/strings.h"

namespace retort {
namespace {

// Links are followed, so one that leads to another file is another stamp. A file that takes the
// place of an older one has another number, whatever its time says.
void AddStamp(const Path& file, std::vector<std::string>& stamps) {
  struct stat facts = {};
  if (stat(file.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) return;
  stamps.push_back(Cat(file.string(), " ", facts.st_dev, " ", facts.st_ino, " ", facts.st_size, " ",
                       facts.st_mtim.tv_sec, " ", facts.st_mtim.tv_nsec));
}

}  // namespace

std::string FileStamps(const std::vector<Path>& paths) {
  std::vector<std::string> stamps;
  for (const Path& path : paths) {
    AddStamp(path, stamps);
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator at(path, error), end; !error && at != end;
         at.increment(error))
      AddStamp(at->path(), stamps);
  }
  std::ranges::sort(stamps);
  return Join(stamps, "\n");
}

}  // namespace retort
