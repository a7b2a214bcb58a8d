// SPDX-License-Identifier: Apache-2.0
#include "model/store/fingerprint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "formats/safetensors.h"
#include "tests/support/model_folder.h"

namespace retort {
namespace {

// Changes one byte of a file in place, and nothing else that a listing shows but the times.
void FlipByte(const Path& file, int64_t at) {
  const int fd = ::open(file.c_str(), O_RDWR);
  char byte = 0;
  ASSERT_EQ(::pread(fd, &byte, 1, at), 1);
  byte = static_cast<char>(byte ^ 1);
  ASSERT_EQ(::pwrite(fd, &byte, 1, at), 1);
  ::close(fd);
}

int64_t OffsetOf(const TensorEntry& entry, size_t byte) {
  return entry.bytes.data() - entry.file->bytes().data() + static_cast<int64_t>(byte);
}

class FingerprintTest : public ::testing::Test {
 protected:
  // A model of one tensor of three pieces, the last of them not whole.
  ModelFiles Large(size_t bytes = (size_t{9} << 20) + 4) {
    const Path file = folder_ / "large.safetensors";
    if (!std::filesystem::exists(file)) {
      SafetensorsWriter writer(file, {});
      writer.Declare("w", WeightFormat::kF32, {static_cast<int64_t>(bytes / 4)});
      writer.Write("w", std::vector<std::byte>(bytes));
      writer.Commit();
    }
    ModelFiles files;
    files.path = file;
    files.tensors = ReadSafetensors(file).tensors;
    return files;
  }

  TemporaryFolder folder_;
};

TEST_F(FingerprintTest, EveryByteCountsAtAnyNumberOfThreads) {
  const std::string before = Fingerprint(Large(), 1);
  EXPECT_EQ(Fingerprint(Large(), 3), before);
  const size_t size = Large().tensors.entries().front().bytes.size();
  for (const size_t byte : {size_t{0}, size_t{4097}, size_t{4} << 20, size_t{5} << 20, size - 1}) {
    SCOPED_TRACE(byte);
    const std::string old = OldFingerprint(Large());
    const int64_t at = OffsetOf(Large().tensors.entries().front(), byte);
    FlipByte(folder_ / "large.safetensors", at);
    EXPECT_NE(Fingerprint(Large(), 2), before);
    EXPECT_EQ(OldFingerprint(Large()) == old, byte >= 4096);
    FlipByte(folder_ / "large.safetensors", at);
    EXPECT_EQ(Fingerprint(Large(), 2), before);
  }
}

TEST_F(FingerprintTest, IsThatOfTheTensorsNotOfTheFiles) {
  MakeModelFolder(folder_ / "one", FolderConfig("llama"));
  const ModelFiles one = OpenModel(folder_ / "one");
  std::filesystem::create_directory(folder_ / "copy");
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "one"))
    std::filesystem::copy(entry.path(), folder_ / "copy" / entry.path().filename().string());
  EXPECT_EQ(Fingerprint(one), Fingerprint(OpenModel(folder_ / "copy")));
  // The same tensors in another order, in two files.
  std::filesystem::create_directory(folder_ / "shards");
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "one")) {
    if (entry.path().extension() != ".safetensors")
      std::filesystem::copy(entry.path(), folder_ / "shards" / entry.path().filename().string());
  }
  Json map;
  for (const bool second : {false, true}) {
    const std::string name = second ? "b.safetensors" : "a.safetensors";
    SafetensorsWriter writer(folder_ / "shards" / name, {});
    const auto& all = one.tensors.entries();
    const auto mine = [&](size_t i) { return (i % 3 == 0) == second; };
    for (size_t i = all.size(); i-- > 0;) {
      if (mine(i)) writer.Declare(all[i].name, all[i].format, all[i].shape);
    }
    for (size_t i = all.size(); i-- > 0;) {
      if (!mine(i)) continue;
      writer.Write(all[i].name, all[i].bytes);
      map[all[i].name] = name;
    }
    writer.Commit();
  }
  WriteTextAtomically(folder_ / "shards" / "model.safetensors.index.json",
                      DumpJson({{"metadata", Json::object()}, {"weight_map", map}}));
  EXPECT_EQ(Fingerprint(one), Fingerprint(OpenModel(folder_ / "shards")));
}

TEST_F(FingerprintTest, OldRecordsCompareByTheirOwnRule) {
  const std::string old = OldFingerprint(Large());
  EXPECT_EQ(old.size(), 64u);
  EXPECT_TRUE(HasFingerprint(Large(), old));
  EXPECT_TRUE(HasFingerprint(Large(), Fingerprint(Large())));
  EXPECT_FALSE(HasFingerprint(Large(), std::string(64, '0')));
  FlipByte(folder_ / "large.safetensors", OffsetOf(Large().tensors.entries().front(), 0));
  EXPECT_FALSE(HasFingerprint(Large(), old));
}

// A record is used while the file keeps its times, and not once it was written to, even when the
// modification time is put back.
TEST_F(FingerprintTest, IsRememberedUntilTheFileChanges) {
  const size_t bytes = size_t{65} << 20;
  const Path cache = folder_ / "cache";
  UseFingerprintCache(cache);
  const std::string made = Fingerprint(Large(bytes));
  EXPECT_TRUE(std::filesystem::is_empty(cache)) << "a file that was just written is not settled";
  ::sleep(4);
  EXPECT_EQ(Fingerprint(Large()), made);
  ASSERT_EQ(std::distance(std::filesystem::directory_iterator(cache), {}), 1);
  const Path record = std::filesystem::directory_iterator(cache)->path();
  const std::string told = "sha256-tree:" + std::string(64, '7');
  WriteTextAtomically(record, ReplaceAll(ReadText(record), made, told));
  EXPECT_EQ(Fingerprint(Large()), told);

  const Path file = folder_ / "large.safetensors";
  struct stat info;
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  FlipByte(file, OffsetOf(Large().tensors.entries().front(), bytes - 1));
  const timespec times[] = {info.st_atim, info.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
  const std::string changed = Fingerprint(Large());
  EXPECT_NE(changed, told);
  EXPECT_NE(changed, made);
  UseFingerprintCache({});
}

TEST_F(FingerprintTest, AFolderThatOthersMayWriteIsNoCache) {
  const Path cache = folder_ / "cache";
  std::filesystem::create_directory(cache);
  ::chmod(cache.c_str(), 0777);
  UseFingerprintCache(cache);
  Fingerprint(Large(size_t{65} << 20));
  ::sleep(4);
  Fingerprint(Large());
  EXPECT_TRUE(std::filesystem::is_empty(cache));
  UseFingerprintCache({});
}

}  // namespace
}  // namespace retort
