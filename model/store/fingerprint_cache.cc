// SPDX-License-Identifier: Apache-2.0
#include "model/store/fingerprint_cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <ctime>

#include "base/error.h"
#include "base/user_folder.h"
#include "model/store/fingerprint.h"

namespace retort {
namespace {

constexpr int64_t kSmallModel = int64_t{64} << 20;  // bytes
constexpr int64_t kSettled = 2;                     // seconds

Path& CacheFolder() {
  static Path folder;
  return folder;
}

}  // namespace

void UseFingerprintCache(const Path& folder) { CacheFolder() = folder; }

FingerprintRecord::FingerprintRecord(const std::vector<Path>& files) {
  if (CacheFolder().empty()) return;
  std::string names;
  int64_t bytes = 0, newest = 0;
  for (const Path& file : files) {
    std::error_code unknown;
    const std::string name = std::filesystem::canonical(file, unknown).string();
    struct stat info;
    if (unknown || ::stat(name.c_str(), &info) != 0) return;
    names += name + "\n";
    identity_ +=
        Cat(name, " ", info.st_size, " ", info.st_dev, " ", info.st_ino, " ", info.st_mtim.tv_sec,
            ".", info.st_mtim.tv_nsec, " ", info.st_ctim.tv_sec, ".", info.st_ctim.tv_nsec, "\n");
    bytes += info.st_size;
    newest = std::max<int64_t>({newest, info.st_mtim.tv_sec, info.st_ctim.tv_sec});
  }
  if (bytes < kSmallModel || !IsOwnFolder(CacheFolder())) return;
  path_ = CacheFolder() / Sha256(names);
  settled_ = newest + kSettled < std::time(nullptr);
}

std::string FingerprintRecord::Find() const {
  struct stat info;
  // ReadText blocks on a pipe and never ends on a device.
  if (path_.empty() || ::lstat(path_.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return "";
  const std::string text = ReadText(path_);
  if (!text.starts_with(identity_)) return "";
  return std::string(Strip(std::string_view(text).substr(identity_.size())));
}

void FingerprintRecord::Put(const std::string& fingerprint) const {
  if (path_.empty() || !settled_) return;
  try {
    WriteTextAtomically(path_, Cat(identity_, fingerprint, "\n"));
  } catch (const Error&) {
    // A full disk costs the time of hashing again, nothing else.
  }
}

}  // namespace retort
