// SPDX-License-Identifier: Apache-2.0
// Files that are not what their name promises: pipes, devices, links, folders, files that change.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/json.h"

namespace retort {
namespace {

class OddFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = Path(::testing::TempDir()) / Cat("retort_odd_file_", ::getpid());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    ::alarm(30);  // a call that waits for a pipe ends the test
  }
  void TearDown() override {
    ::alarm(0);
    std::filesystem::remove_all(folder_);
  }
  // The message of the Error{kInput} that the body ends with, "" if it does not.
  static std::string Refusal(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::kInput) << e.what();
      return e.what();
    }
    return "";
  }
  Path folder_;
};

TEST_F(OddFileTest, NothingWaitsForAPipeOrReadsADevice) {
  const Path pipe = folder_ / "pipe", device = folder_ / "device", folder = folder_ / "folder";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0644), 0);
  std::filesystem::create_symlink("/dev/zero", device);
  std::filesystem::create_directory(folder);
  const std::pair<Path, const char*> cases[] = {
      {pipe, "is a pipe"}, {device, "is a device"}, {folder, "is a folder"}};
  for (const auto& [path, words] : cases) {
    const auto refuses = [&, &path = path, &words = words](const char* what,
                                                           const std::function<void()>& body) {
      const std::string message = Refusal(body);
      EXPECT_TRUE(message.starts_with(Cat(path.string(), ": ", words))) << what << ": " << message;
    };
    refuses("map", [&, &path = path] { MappedFile::Open(path); });
    refuses("text", [&, &path = path] { ReadText(path); });
    refuses("json", [&, &path = path] { ReadJson(path); });
    refuses("copy", [&, &path = path] { CopyFileAtomically(path, folder_ / "copy"); });
    refuses("write", [&, &path = path] { AtomicFile file(path); });
    refuses("stage", [&, &path = path] { StagedFile file(path); });
  }
  EXPECT_NE(Refusal([&] { AppendFile file(device); }).find("is a device"), std::string::npos);
  EXPECT_NE(Refusal([&] { FileLock lock(pipe, "x"); }).find("is a pipe"), std::string::npos);
  EXPECT_THROW(AppendFile{pipe}, Error);  // no reader
}

TEST_F(OddFileTest, ATargetThatIsAStreamIsRefused) {
  for (const char* path : {"/dev/null", "/dev/stdout", "/dev/new-name", "/proc/self/fd/1"}) {
    EXPECT_NE(Refusal([&] { AtomicFile file(path); }), "") << path;
  }
}

TEST_F(OddFileTest, APathIsNotCutAtItsNul) {
  WriteTextAtomically(folder_ / "a", "x");
  const Path path = folder_ / std::string("a\0b", 3);
  EXPECT_NE(Refusal([&] { ReadText(path); }).find("a\\x00b"), std::string::npos);
}

TEST_F(OddFileTest, TextsHaveALimit) {
  WriteTextAtomically(folder_ / "a", "12345");
  EXPECT_EQ(ReadText(folder_ / "a", 5), "12345");
  EXPECT_NE(Refusal([&] { ReadText(folder_ / "a", 4); }).find("has 5 bytes"), std::string::npos);
  std::filesystem::resize_file(folder_ / "a", uint64_t{1} << 40);  // sparse
  EXPECT_NE(Refusal([&] { ReadText(folder_ / "a"); }), "");
  EXPECT_NE(Refusal([&] { ReadJson(folder_ / "a"); }), "");
}

// Links that someone laid where a temporary file or the target would be.
TEST_F(OddFileTest, WritingFollowsNoLink) {
  WriteTextAtomically(folder_ / "precious", "mine");
  std::filesystem::create_symlink("precious", folder_ / "target");
  std::filesystem::create_symlink("precious", folder_ / Cat(".target.", ::getpid(), ".partial"));
  WriteTextAtomically(folder_ / "target", "new");
  EXPECT_EQ(ReadText(folder_ / "target"), "new");
  EXPECT_EQ(ReadText(folder_ / "precious"), "mine");
  std::filesystem::create_symlink("precious", folder_ / "lock");
  EXPECT_THROW(FileLock(folder_ / "lock", "x"), Error);
  EXPECT_EQ(ReadText(folder_ / "precious"), "mine");
}

TEST_F(OddFileTest, ALongNameHasATemporaryOneToo) {
  const Path path = folder_ / std::string(255, 'n');
  WriteTextAtomically(path, "x");
  EXPECT_EQ(ReadText(path), "x");
}

TEST_F(OddFileTest, AMappingIsFoundByItsAddresses) {
  WriteTextAtomically(folder_ / "a", std::string(10000, 'a'));
  WriteTextAtomically(folder_ / "b", "b");
  const auto a = MappedFile::Open(folder_ / "a");
  auto b = MappedFile::Open(folder_ / "b");
  const std::byte* at_b = b->bytes().data();
  EXPECT_EQ(MappedPathAt(a->bytes().data() + 9999), (folder_ / "a").string());
  EXPECT_EQ(MappedPathAt(at_b), (folder_ / "b").string());
  b.reset();
  EXPECT_EQ(MappedPathAt(at_b), nullptr);
  EXPECT_EQ(MappedPathAt(&a), nullptr);
  EXPECT_EQ(MappedPathAt(nullptr), nullptr);
}

TEST_F(OddFileTest, AFolderThatIsInTheWayIsToldAtOnce) {
  std::filesystem::create_directories(folder_ / "full" / "x");
  EXPECT_NE(Refusal([&] { AtomicFolder out(folder_ / "full"); }).find("is there already"),
            std::string::npos);
  WriteTextAtomically(folder_ / "file", "x");
  EXPECT_NE(Refusal([&] { AtomicFolder out(folder_ / "file"); }).find("is a file"),
            std::string::npos);
  AtomicFolder empty(folder_ / "full" / "x" / "");
  empty.Commit();
}

}  // namespace
}  // namespace retort
