// SPDX-License-Identifier: Apache-2.0
// Shards with a seal and wrong content.
#include <gtest/gtest.h>

#include "data/teacher_files.h"
#include "tests/data/teacher_cache_support.h"

namespace retort {
namespace {

// A single shard of two examples and three tokens, k = 2 of 512, written here value by value.
struct MadeUp {
  std::vector<int32_t> counts = {1, 2};
  std::vector<uint16_t> ids = {3, 4, 3, 4, 511, 0};
  // 0x398c: the f16 bits of 0.693359375, about log 2; then a step of 1024 to twice that.
  std::vector<uint16_t> values = {0x398c, 1024, 0x398c, 1024, 0x398c, 1024};
  std::vector<uint16_t> tail = {0x3d8c, 0x3d8c, 0x3d8c};
  int64_t chunk_rows = 3;
  bool with_tail = true;
};

class MadeUpShard : public testing::Test {
 protected:
  std::string Fault(const MadeUp& m) {
    const std::vector<Example> examples = {{0, {1, 2}, {kNoLoss, 2}}, {1, {1, 2, 3}, {-100, 2, 3}}};
    const TeacherCacheKey key = KeyOf(512, 2);
    const Path folder = temp_.path() / "cache", shard = folder / "shard-00000.h5";
    std::filesystem::remove_all(folder);
    TeachAll(folder, key, examples);
    std::vector<uint8_t> hashes(32);
    {
      const auto real = Hdf5Reader::OpenSealed(shard, ReadTeacherManifest(folder).shards[0].stamp);
      real.Read<uint8_t>("examples/hash", {2, 16}, hashes);
    }
    Hdf5Writer writer(shard);
    const Hdf5Storage storage{.chunk_rows = m.chunk_rows, .gzip = 1};
    writer.Write<uint8_t>("examples/hash", {2, 16}, hashes);
    writer.Write<int32_t>("examples/tokens", {static_cast<int64_t>(m.counts.size())}, m.counts);
    const int64_t rows = static_cast<int64_t>(m.ids.size()) / 2;
    writer.Write<uint16_t>("rows/ids", {rows, 2}, m.ids, storage);
    writer.Write<uint16_t>("rows/values", {rows, 2}, m.values, storage);
    if (m.with_tail) writer.Write<uint16_t>("rows/tail", {rows}, m.tail, storage);
    TeacherManifest manifest = ReadTeacherManifest(folder);
    manifest.shards[0].stamp = writer.Commit();
    WriteTeacherManifest(folder, manifest);
    return InputFault(
        [&] {
          TeacherCacheReader reader(folder);
          reader.CheckExamples(examples, WhereOf);
          ReadRows(reader, std::vector<int64_t>{1}, 1);
        },
        shard);
  }

  TempFolder temp_;
};

TEST_F(MadeUpShard, GoodOneIsRead) { EXPECT_EQ(Fault({}), ""); }

TEST_F(MadeUpShard, RowsThatCannotBe) {
  const std::string row = "shard-00000.h5: block 0: row ";
  EXPECT_EQ(Fault({.ids = {3, 4, 3, 4, 512, 0}}), row + "2 holds id 512, expected below 512");
  EXPECT_EQ(Fault({.ids = {3, 4, 9, 9, 511, 0}}), row + "1 holds id 9 twice");
  EXPECT_EQ(Fault({.values = {0x398c, 1024, 0x7c01, 0, 0x398c, 1024}}),  // a NaN
            row + "1 holds no log-probabilities");
  EXPECT_EQ(Fault({.values = {0x398c, 1024, 0x398c, 0xffff, 0x398c, 1024}}),  // beyond f16
            row + "1 holds no log-probabilities");
  EXPECT_EQ(Fault({.tail = {0x3d8c, 0xbd8c, 0x3d8c}}), row + "1 holds no log-probabilities");
  EXPECT_TRUE(StartsWith(Fault({.tail = {0x3d8c, 0x3d8c, 0x398c}}), row + "2 sums to 1.2"));
}

TEST_F(MadeUpShard, ShapesThatDoNotFit) {
  const std::string shard = "shard-00000.h5: ";
  EXPECT_EQ(Fault({.counts = {1, 3}}), shard + "example 1 claims 3 tokens, beyond the shard's 3");
  EXPECT_EQ(Fault({.counts = {1, -1}}), shard + "example 1 claims -1 tokens, beyond the shard's 3");
  EXPECT_EQ(Fault({.counts = {1, 1}}), shard + "its examples have 2 tokens, expected 3");
  EXPECT_EQ(Fault({.counts = {3}}),
            shard + "dataset 'examples/tokens' has shape [1], expected [2]");
  EXPECT_EQ(Fault({.ids = {3, 4, 5, 6}, .values = {0, 0, 0, 0}, .tail = {0, 0}, .chunk_rows = 2}),
            shard + "dataset 'rows/values' is in chunks of 2 rows, expected 3");
  EXPECT_EQ(Fault({.chunk_rows = 1}),
            shard + "dataset 'rows/values' is in chunks of 1 rows, expected 3");
  EXPECT_EQ(Fault({.with_tail = false}), shard + "dataset 'rows/tail' is missing");
}

}  // namespace
}  // namespace retort
