// SPDX-License-Identifier: Apache-2.0
#include "model/store/target.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"

namespace retort {
namespace {

namespace fs = std::filesystem;

// "dir/" and "dir" are the same folder.
Path Plain(const Path& path) {
  const Path normal = fs::absolute(path).lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

bool Same(const Path& a, const Path& b) {
  std::error_code missing;
  return fs::equivalent(a, b, missing);
}

void RefuseDevice(const Path& out, const Path& place) {
  std::error_code missing;
  const fs::file_status status = fs::status(place, missing);  // of what a link names
  if (fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status)) {
    throw InputError(out.string(),
                     ": is a device, pipe or socket; name a file that can be replaced");
  }
  // /dev/stdout names a file by a link: replacing the link would break the system's own name.
  const std::string text = place.string();
  for (const char* system : {"/dev/", "/proc/", "/sys/"}) {
    if (text.starts_with(system) && !text.starts_with("/dev/shm/"))
      throw InputError(out.string(), ": is in a folder of the system; name another place");
  }
}

void CheckKind(const Path& out, const Path& place, TargetKind kind) {
  std::error_code missing;
  const fs::file_status status = fs::status(place, missing);
  if (kind == TargetKind::kFile) {
    if (fs::is_directory(status))
      throw InputError(out.string(), ": is a folder; name a file to write");
    return;
  }
  if (fs::is_symlink(fs::symlink_status(place, missing)))
    throw InputError(out.string(), ": is a symbolic link; name the folder itself");
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status))
    throw InputError(out.string(), ": is a file; name a folder to make");
  std::error_code unreadable;
  const bool empty = fs::is_empty(place, unreadable);
  if (unreadable) throw Failure(out.string(), ": cannot be read: ", unreadable.message());
  if (!empty) throw InputError(out.string(), ": is there already; name another place");
}

// Whether a model's or adapter's folder is read by names that end so.
bool IsReadName(const Path& name) {
  for (const char* end : {".json", ".safetensors", ".jinja", ".txt", ".model", ".bin"}) {
    if (name.extension() == end) return true;
  }
  return false;
}

// Whether writing `place` would change what is read from `source`.
bool IsPartOf(const Path& place, TargetKind kind, const Path& source) {
  if (Same(place, source)) return true;
  std::error_code missing;
  if (kind == TargetKind::kFolder || !fs::is_directory(source, missing)) return false;
  if (IsReadName(place) && Same(place.parent_path(), source)) return true;
  for (const auto& entry : fs::directory_iterator(source, missing)) {
    if (IsReadName(entry.path()) && Same(place, entry.path())) return true;
  }
  return false;
}

void CheckWritable(const Path& out, const Path& place) {
  Path folder = place.parent_path();
  std::error_code missing;
  while (!fs::exists(folder, missing) && folder != folder.root_path())
    folder = folder.parent_path();
  if (!fs::is_directory(folder, missing))
    throw InputError(out.string(), ": cannot be written: ", folder.string(), " is not a folder");
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    throw Failure(out.string(), ": cannot be written: ", folder.string(), ": ", ErrnoText());
}

Path LockOf(const Path& out) {
  const Path place = Plain(out);
  MakeFolders(place.parent_path());
  return place.parent_path() / Cat(".", place.filename().string(), ".lock");
}

}  // namespace

void CheckTarget(const Path& out, TargetKind kind, const std::vector<Path>& sources) {
  if (out.empty())
    throw InputError("--out: is empty; name a ", kind == TargetKind::kFile ? "file" : "folder");
  const Path place = Plain(out);
  RefuseDevice(out, place);
  for (const Path& source : sources) {
    if (!source.empty() && IsPartOf(place, kind, source)) {
      throw InputError(out.string(), ": is part of ", source.string(),
                       ", which is read; writing it would destroy that: name another place");
    }
  }
  CheckKind(out, place, kind);
  CheckWritable(out, place);
}

TargetLock::TargetLock(const Path& out) : lock_(LockOf(out), out.string()) {}

}  // namespace retort
