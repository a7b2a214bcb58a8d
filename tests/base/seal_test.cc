// SPDX-License-Identifier: Apache-2.0
#include "base/seal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "base/error.h"

namespace retort {
namespace {

// A state folder for each test, as if each were another user.
class SealTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* before = std::getenv("XDG_STATE_HOME")) before_ = before;
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    Become("state");
  }
  void TearDown() override {
    ::setenv("XDG_STATE_HOME", before_.c_str(), 1);
    std::filesystem::remove_all(folder_);
  }
  void Become(const std::string& user) const {
    ::setenv("XDG_STATE_HOME", (folder_ / user).c_str(), 1);
  }
  Path SecretOf(const std::string& user) const { return folder_ / user / "retort" / "secret"; }
  static std::string SealOf(std::string_view text, std::string_view purpose = "test") {
    return Seal(purpose, std::as_bytes(std::span(text)));
  }
  // The one line of the error, which must name the file and a way out.
  std::string Fault() const {
    try {
      RequireSecret();
    } catch (const Error& e) {
      const std::string text = e.what();
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
      EXPECT_NE(text.find("XDG_STATE_HOME"), std::string::npos) << text;
      return text;
    }
    return "";
  }

  std::string before_;
  const Path folder_ = Path(::testing::TempDir()) / Cat("retort_seal_test_", ::getpid());
};

TEST_F(SealTest, HoldsForItsBytesPurposeAndUser) {
  const std::string seal = SealOf("bytes");
  EXPECT_EQ(seal.size(), 64u);
  EXPECT_EQ(SealOf("bytes"), seal);
  const auto holds = [&](std::string_view purpose, std::string_view text, std::string_view s) {
    return SealHolds(purpose, std::as_bytes(std::span(text)), s);
  };
  EXPECT_TRUE(holds("test", "bytes", seal));
  EXPECT_FALSE(holds("test", "byte", seal));
  EXPECT_FALSE(holds("other", "bytes", seal));
  EXPECT_FALSE(holds("test", "bytes", ""));
  EXPECT_FALSE(holds("test", "bytes", seal.substr(1)));
  EXPECT_FALSE(holds("test", "bytes", std::string(64, '0')));
  EXPECT_TRUE(holds("test", "", SealOf("")));
  Become("another");
  EXPECT_FALSE(holds("test", "bytes", seal));
  EXPECT_NE(SealOf("bytes"), seal);
}

// Worked out with another program, for the secret of 32 letters "s":
//   key=$(printf purpose | openssl dgst -sha256 -hmac ssssssssssssssssssssssssssssssss -hex)
//   printf bytes | openssl dgst -sha256 -mac hmac -macopt hexkey:$key
TEST_F(SealTest, IsHmacSha256) {
  RequireSecret();
  const int fd = ::open(SecretOf("state").c_str(), O_WRONLY | O_TRUNC);
  ASSERT_EQ(::write(fd, std::string(32, 's').data(), 32), 32);
  ::close(fd);
  EXPECT_EQ(SealOf("bytes", "purpose"),
            "71b1064a516788ac3e04bcbedce81f4b6b95c494410c03710f86ff6289049dd2");
}

TEST_F(SealTest, TheSecretIsThisUsersAlone) {
  RequireSecret();
  struct stat file, folder;
  ASSERT_EQ(::stat(SecretOf("state").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 07777, 0600u);
  EXPECT_EQ(file.st_size, 32);
  ASSERT_EQ(::stat(SecretOf("state").parent_path().c_str(), &folder), 0);
  EXPECT_EQ(folder.st_mode & 07777, 0700u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(SecretOf("state").parent_path()), {}),
            1);
}

TEST_F(SealTest, WhatIsNotThisUsersSecretIsRefused) {
  RequireSecret();
  const Path secret = SecretOf("state");
  const auto expect = [&](const std::string& part) {
    const std::string text = Fault();
    EXPECT_TRUE(StartsWith(text, secret.string() + ": ")) << text;
    EXPECT_NE(text.find(part), std::string::npos) << "no '" << part << "' in: " << text;
  };
  ::chmod(secret.c_str(), 0640);
  expect("by others");
  ::chmod(secret.c_str(), 0602);
  expect("by others");
  ::chmod(secret.c_str(), 0600);
  ASSERT_EQ(::truncate(secret.c_str(), 31), 0);
  expect("has 31 bytes, expected 32");
  std::filesystem::remove(secret);
  std::filesystem::create_directories(secret);
  expect("is not a regular file");
  std::filesystem::remove(secret);
  Become("another");
  RequireSecret();
  std::filesystem::create_symlink(SecretOf("another"), secret);
  Become("state");
  expect("cannot be opened");
  std::filesystem::remove(secret);
  if (::geteuid() == 0) {
    RequireSecret();
    ASSERT_EQ(::chown(secret.c_str(), 12345, 12345), 0);
    expect("belongs to user 12345, expected user 0");
  }
}

TEST_F(SealTest, NoFolderForIt) {
  std::ofstream(folder_ / "file") << "a file";
  Become("file");
  EXPECT_NE(Fault().find("cannot be made"), std::string::npos) << Fault();
}

// A relative path is ignored, as the specification says; so is an empty one.
TEST_F(SealTest, FallsBackToTheHomeFolder) {
  const std::string home = std::getenv("HOME") ? std::getenv("HOME") : "";
  ::setenv("HOME", (folder_ / "home").c_str(), 1);
  for (const char* state : {"relative", ""}) {
    ::setenv("XDG_STATE_HOME", state, 1);
    RequireSecret();
    EXPECT_TRUE(std::filesystem::exists(folder_ / "home/.local/state/retort/secret"));
    std::filesystem::remove_all(folder_ / "home");
  }
  ::setenv("HOME", home.c_str(), 1);
}

// Processes that start at once agree on one secret.
TEST_F(SealTest, OnlyOneSecretIsMade) {
  constexpr int kProcesses = 16;
  for (int i = 0; i < kProcesses; ++i) {
    if (::fork() == 0) {
      const std::string seal = SealOf("bytes");
      std::ofstream(folder_ / Cat("seal-", i)) << seal;
      ::_exit(0);
    }
  }
  int ended = 0;
  while (::wait(nullptr) > 0) ++ended;
  EXPECT_EQ(ended, kProcesses);
  std::set<std::string> seals;
  for (int i = 0; i < kProcesses; ++i) seals.insert(ReadText(folder_ / Cat("seal-", i)));
  EXPECT_EQ(seals, std::set<std::string>{SealOf("bytes")});
}

}  // namespace
}  // namespace retort
