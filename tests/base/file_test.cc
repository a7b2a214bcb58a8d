// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace retort {
namespace {

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = Path(::testing::TempDir()) /
              Cat("retort_file_test_", ::getpid());  // tests run side by side
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  size_t Entries() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }
  Path folder_;
};

TEST_F(FileTest, AnAtomicFileAppearsOnlyOnCommit) {
  {
    AtomicFile file(folder_ / "a");
    file.Write("half");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "a"));
  }
  EXPECT_EQ(Entries(), 0u);
  AtomicFile file(folder_ / "a");
  file.Write("____ whole");
  file.WriteAt(0, std::as_bytes(std::span("head", 4)));
  file.Commit();
  EXPECT_EQ(ReadText(folder_ / "a"), "head whole");
  EXPECT_EQ(Entries(), 1u);
}

TEST_F(FileTest, AnAtomicFolderRefusesAFullTarget) {
  WriteTextAtomically(folder_ / "x", "1");
  EXPECT_THROW(AtomicFolder{folder_}, Error);
  AtomicFolder late(folder_ / "sub");
  std::filesystem::create_directories(folder_ / "sub" / "y");  // after the look
  EXPECT_THROW(late.Commit(), Error);
  EXPECT_EQ(ReadText(folder_ / "x"), "1");
}

TEST_F(FileTest, MapsAFileAndNamesAMissingOne) {
  WriteTextAtomically(folder_ / "m", "abc");
  EXPECT_EQ(MappedFile::Open(folder_ / "m")->bytes().size(), 3u);
  try {
    MappedFile::Open(folder_ / "none");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput);
    EXPECT_NE(std::string(e.what()).find("none"), std::string::npos);
  }
}

// FIPS 180-4 examples, one of them two blocks long.
TEST(Sha256, MatchesPublishedDigests) {
  EXPECT_EQ(Sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

}  // namespace
}  // namespace retort
