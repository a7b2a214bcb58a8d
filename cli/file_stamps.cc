// SPDX-License-Identifier: Apache-2.0
#include "cli/file_stamps.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/ascii.h"
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

// PREFIX-00001-of-00003.gguf: what stands before the part's number; "" if the name is no such.
std::string BeforePart(const std::string& name) {
  constexpr std::string_view kForm = "-#####-of-#####.gguf";
  if (name.size() <= kForm.size()) return "";
  const size_t begin = name.size() - kForm.size();
  for (size_t i = 0; i < kForm.size(); ++i) {
    const char c = name[begin + i];
    if (kForm[i] == '#' ? !IsDigit(c) : c != kForm[i]) return "";
  }
  return name.substr(0, begin);
}

void AddParts(const Path& file, std::vector<std::string>& stamps) {
  const std::string before = BeforePart(file.filename().string());
  if (before.empty()) return;
  const Path folder = file.has_parent_path() ? file.parent_path() : Path(".");
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (BeforePart(at->path().filename().string()) == before) AddStamp(at->path(), stamps);
  }
}

}  // namespace

std::string FileStamps(const std::vector<Path>& paths) {
  std::vector<std::string> stamps;
  for (const Path& path : paths) {
    AddStamp(path, stamps);
    AddParts(path, stamps);
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator at(path, error), end; !error && at != end;
         at.increment(error))
      AddStamp(at->path(), stamps);
  }
  std::ranges::sort(stamps);
  stamps.erase(std::unique(stamps.begin(), stamps.end()), stamps.end());
  return Join(stamps, "\n");
}

}  // namespace retort
