// SPDX-License-Identifier: Apache-2.0
#include "fuzz/support.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"

namespace retort {

bool Accepted(const std::function<void()>& action) {
  try {
    action();
    return true;
  } catch (const Error& e) {
    if (e.kind() == Error::Kind::kBug) throw;
    return false;
  }
}

FuzzFolder::FuzzFolder()
    : path_(std::filesystem::temp_directory_path() / Cat("retort-fuzz-", ::getpid())) {
  std::filesystem::create_directories(path_);
}

FuzzFolder::~FuzzFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Path FuzzFolder::Put(std::string_view name, std::string_view bytes) const {
  Path path = path_ / name;
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  RETORT_CHECK(file >= 0, path.string());
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    RETORT_CHECK(written > 0, path.string());
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  ::close(file);
  return path;
}

void FuzzFolder::Remove(std::string_view name) const {
  std::error_code ignored;
  std::filesystem::remove(path_ / name, ignored);
}

Halves Cut(std::string_view text, std::string_view separator) {
  const size_t at = text.find(separator);
  if (at == text.npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + separator.size())};
}

void Touch(Bytes bytes) {
  volatile unsigned sum = 0;
  for (const std::byte b : bytes) sum = sum + std::to_integer<unsigned>(b);
}

}  // namespace retort
