// SPDX-License-Identifier: Apache-2.0
#include "base/seal.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>

#include "base/error.h"
#include "base/hex.h"
#include "base/user_folder.h"

namespace retort {
namespace {

using Secret = std::array<unsigned char, 32>;

constexpr const char* kWayOut = "set XDG_STATE_HOME to a folder of your own";

struct SecretFile {
  int fd;
  ~SecretFile() {
    if (fd >= 0) ::close(fd);
  }
};

Path StateFolder() {
  const std::optional<Path> folder = UserFolder("XDG_STATE_HOME", ".local/state");
  if (!folder) throw InputError("there is no home folder to keep Retort's secret in; ", kWayOut);
  return *folder;
}

[[noreturn]] void CannotBeMade(const Path& path, const std::string& why) {
  throw Failure(path.string(), ": Retort's secret cannot be made: ", why, "; ", kWayOut);
}

// Each folder that is missing, for this user alone.
void MakeFolders(const Path& folder) {
  if (std::error_code ignored; std::filesystem::is_directory(folder, ignored)) return;
  if (folder.has_relative_path()) MakeFolders(folder.parent_path());
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) CannotBeMade(folder, ErrnoText());
}

std::string Hex(std::span<const unsigned char> bytes) {
  return HexText(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

// Writes the secret under a name of its own and links it into place: other processes see no file or
// a whole one, and the first of several wins.
void MakeSecret(const Path& path) {
  Secret secret;
  std::array<unsigned char, 8> random;
  if (RAND_bytes(secret.data(), secret.size()) != 1 ||
      RAND_bytes(random.data(), random.size()) != 1)
    CannotBeMade(path, "no random numbers");
  MakeFolders(path.parent_path());
  const Path temporary = path.parent_path() / Cat(".secret.", Hex(random), ".partial");
  bool written = false;
  {
    const SecretFile file{
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (file.fd < 0) CannotBeMade(path, ErrnoText());
    written = ::write(file.fd, secret.data(), secret.size()) == std::ssize(secret) &&
              ::fsync(file.fd) == 0;
  }
  // Some file systems have no links. There, of two processes that start at once, the later wins.
  const bool there = written && (::link(temporary.c_str(), path.c_str()) == 0 || errno == EEXIST ||
                                 ::rename(temporary.c_str(), path.c_str()) == 0);
  const std::string why = ErrnoText();
  ::unlink(temporary.c_str());
  OPENSSL_cleanse(secret.data(), secret.size());
  if (!there) CannotBeMade(path, why);
  SyncFolder(path.parent_path());
}

Secret ReadSecret() {
  const Path path = StateFolder() / "secret";
  const auto open = [&] {
    return ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  };
  SecretFile file{open()};
  if (file.fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
    MakeSecret(path);
    file.fd = open();
  }
  const std::string subject = Cat(path.string(), ": Retort's secret ");
  const std::string again =
      Cat("; remove it, and a new one is made (`retort trust` then seals caches and checkpoints "
          "again), or ",
          kWayOut);
  if (file.fd < 0) throw Failure(subject, "cannot be opened: ", ErrnoText(), again);
  struct stat info;
  if (::fstat(file.fd, &info) != 0) throw Failure(subject, "cannot be read: ", ErrnoText(), again);
  if (!S_ISREG(info.st_mode)) throw InputError(subject, "is not a regular file", again);
  if (info.st_uid != ::geteuid())
    throw InputError(subject, "belongs to user ", info.st_uid, ", expected user ", ::geteuid(),
                     again);
  if ((info.st_mode & 077) != 0)
    throw InputError(subject, "may be read or written by others", again);
  Secret secret;
  if (info.st_size != std::ssize(secret))
    throw InputError(subject, "has ", info.st_size, " bytes, expected ", secret.size(), again);
  if (::pread(file.fd, secret.data(), secret.size(), 0) != std::ssize(secret))
    throw Failure(subject, "cannot be read", again);
  return secret;
}

Secret Hmac(const Secret& key, Bytes bytes) {
  Secret out;
  unsigned size = out.size();
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const unsigned char nothing = 0;
  const bool ok = ::HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                         data ? data : &nothing, bytes.size(), out.data(), &size) != nullptr;
  RETORT_CHECK(ok && size == out.size(), "HMAC-SHA256");
  return out;
}

}  // namespace

void RequireSecret() { ReadSecret(); }

std::string Seal(std::string_view purpose, Bytes bytes) {
  // A key for each purpose, so that the purpose need not stand before the bytes.
  const Secret key = Hmac(ReadSecret(), std::as_bytes(std::span(purpose)));
  const Secret seal = Hmac(key, bytes);
  return Hex(seal);
}

bool SealHolds(std::string_view purpose, Bytes bytes, std::string_view seal) {
  const std::string want = Seal(purpose, bytes);
  return want.size() == seal.size() && CRYPTO_memcmp(want.data(), seal.data(), want.size()) == 0;
}

}  // namespace retort
