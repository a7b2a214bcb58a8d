// SPDX-License-Identifier: Apache-2.0
// Caches that another user, or an older version, wrote.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/seal.h"
#include "data/teacher_files.h"
#include "tests/data/teacher_cache_support.h"
#include "tests/formats/child_main.h"

int main(int argc, char** argv) { return retort::RunTestsOrHdf5Child(argc, argv); }

namespace retort {
namespace {

class TeacherTrust : public testing::Test {
 protected:
  TeacherTrust() {
    if (const char* before = std::getenv("XDG_STATE_HOME")) before_ = before;
    Become("maker");
    TeachAll(folder_, key_, examples_);
  }
  ~TeacherTrust() override { ::setenv("XDG_STATE_HOME", before_.c_str(), 1); }

  void Become(const std::string& user) const {
    ::setenv("XDG_STATE_HOME", (temp_.path() / user).c_str(), 1);
  }
  // The fault of reading all rows, the folder's path taken away; fills rows_.
  std::string ReadFault() {
    return InputFault(
        [&] {
          TeacherCacheReader reader(folder_);
          std::vector<int64_t> all(examples_.size());
          for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
          rows_ = ReadRows(reader, all, 1);
        },
        folder_ / "x");
  }
  std::string TrustFault() const {
    return InputFault([&] { TrustTeacherCache(folder_); }, folder_ / "x");
  }
  // Replaces a shard by what `write` puts into a file, with the right checksum and size beside it,
  // as anybody can.
  void Forge(size_t shard, const std::function<void(Hdf5Writer&)>& write) const {
    Hdf5Writer writer(TeacherShardPath(folder_, shard));
    write(writer);
    Restamp(shard, writer.Commit());
  }
  void Restamp(size_t shard, const Hdf5Stamp& stamp) const {
    TeacherManifest manifest = ReadTeacherManifest(folder_);
    manifest.shards[shard].stamp = stamp;
    WriteTeacherManifest(folder_, manifest);
  }

  TempFolder temp_;
  std::string before_;
  const Path folder_ = temp_.path() / "cache";
  const TeacherCacheKey key_ = KeyOf(512, 16);
  const std::vector<Example> examples_ = RandomExamples(40);
  TopTokens rows_{0, 0};
};

TEST_F(TeacherTrust, AnotherUsersCacheIsRefusedAndConverted) {
  ASSERT_EQ(ReadFault(), "");
  const TopTokens want = rows_;
  const auto files = FilesOf(folder_);
  const TeacherCacheSummary summary = SummarizeTeacherCache(folder_);
  ASSERT_GT(summary.shards, 2);
  EXPECT_EQ(TrustTeacherCache(folder_), 0);
  Become("user");
  const std::string fault = ReadFault();
  EXPECT_TRUE(StartsWith(fault, ShardName(0) + ": has no seal of this user's Retort")) << fault;
  EXPECT_NE(fault.find(Cat("`retort trust ", folder_.string(), "`")), std::string::npos) << fault;
  EXPECT_EQ(TrustTeacherCache(folder_), summary.shards);
  EXPECT_EQ(ReadFault(), "");
  EXPECT_EQ(rows_.ids, want.ids);
  EXPECT_EQ(rows_.log_probs, want.log_probs);
  EXPECT_EQ(rows_.tail, want.tail);
  // The shards are the same bytes; only the manifest has other seals.
  for (const auto& [name, checksum] : FilesOf(folder_))
    EXPECT_EQ(checksum == files.at(name), EndsWith(name, ".h5")) << name;
  EXPECT_EQ(TrustTeacherCache(folder_), 0);
}

TEST_F(TeacherTrust, ACacheOfAnOlderVersion) {
  Json manifest = ReadJson(folder_ / kTeacherCacheManifest);
  for (Json& shard : manifest["shards"]) shard.erase("seal");
  temp_.Write("cache/teacher-cache.json", DumpJson(manifest));
  EXPECT_NE(ReadFault().find("`retort trust "), std::string::npos) << ReadFault();
  // Teaching goes on, and compares examples by their hashes alone.
  const auto teach = [&](const std::vector<Example>& examples) {
    return InputFault([&] { TeacherCacheWriter(folder_, key_, examples, WhereOf); });
  };
  EXPECT_EQ(teach(examples_), "");
  std::vector<Example> changed = examples_;
  changed[0].ids[0] += 1;
  EXPECT_NE(teach(changed).find("not all are what the teacher saw"), std::string::npos);
  EXPECT_EQ(TrustTeacherCache(folder_), SummarizeTeacherCache(folder_).shards);
  EXPECT_EQ(ReadFault(), "");
}

// A cache whose making stopped is continued by another user; only the first shards are foreign.
TEST_F(TeacherTrust, ACacheOfTwoUsers) {
  const Path half = temp_.path() / "half";
  Teach(half, key_, examples_, 20, 3000);
  const int64_t made = SummarizeTeacherCache(half).shards;
  Become("user");
  TeachAll(half, key_, examples_);
  ASSERT_GT(SummarizeTeacherCache(half).shards, made);
  EXPECT_EQ(TrustTeacherCache(half), made);
}

TEST_F(TeacherTrust, DamageIsNotTrusted) {
  Become("user");
  const Path shard = TeacherShardPath(folder_, 1);
  const std::string whole = ReadText(shard);
  std::string bad = whole;
  bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
  temp_.Write("cache/" + ShardName(1), bad);
  EXPECT_TRUE(StartsWith(TrustFault(), ShardName(1) + ": its checksum is not")) << TrustFault();
  temp_.Write("cache/" + ShardName(1), whole.substr(1));
  EXPECT_TRUE(StartsWith(TrustFault(), ShardName(1) + ": has ")) << TrustFault();
  std::filesystem::remove(shard);
  EXPECT_TRUE(StartsWith(TrustFault(), ShardName(1) + ": is missing")) << TrustFault();
}

// Whatever stands in a shard whose maker made the checksum too: it is read, or refused in one line.
// Nothing of it reaches the library in this process.
TEST_F(TeacherTrust, HostileShards) {
  const Path shard = TeacherShardPath(folder_, 0);
  const std::string good = ReadText(shard);
  Become("user");
  RandomStream random(MakeKey(5, RandomUse::kData));
  int refused = 0;
  constexpr int kShards = 80;
  for (int i = 0; i < kShards; ++i) {
    std::string bad = good;
    for (uint64_t n = 1 + random.Below(6); n > 0; --n) {
      constexpr char kBytes[] = {0, 1, 2, '\x80', '\xff'};
      bad[random.Below(bad.size())] = kBytes[random.Below(sizeof kBytes)];
    }
    temp_.Write("cache/" + ShardName(0), bad);
    // With a seal too, of whoever made it.
    Restamp(0, {Sha256(bad), std::string(64, 'a'), static_cast<int64_t>(bad.size())});
    EXPECT_NE(ReadFault().find("retort trust"), std::string::npos) << ReadFault();
    const std::string fault = TrustFault();
    EXPECT_EQ(fault.find('\n'), std::string::npos) << fault;
    refused += !fault.empty();
    if (fault.empty()) {
      EXPECT_EQ(ReadFault(), "");
    }
  }
  EXPECT_GT(refused, kShards / 10);
}

TEST_F(TeacherTrust, ContentThatIsNoShard) {
  Become("user");
  const TeacherManifest manifest = ReadTeacherManifest(folder_);
  const TeacherShard& s = manifest.shards[0];
  std::vector<uint8_t> hashes;
  for (int64_t e = 0; e < s.examples; ++e) {
    for (const std::byte b : HashOf(examples_[static_cast<size_t>(e)]))
      hashes.push_back(static_cast<uint8_t>(b));
  }
  std::vector<int32_t> counts;
  for (int64_t e = 0; e < s.examples; ++e)
    counts.push_back(static_cast<int32_t>(examples_[static_cast<size_t>(e)].LossTokens()));
  std::vector<uint16_t> ids(static_cast<size_t>(s.tokens * 16), 7);
  const std::vector<uint16_t> values(ids.size(), 0), tails(static_cast<size_t>(s.tokens), 0);
  const auto fault = [&](const std::function<void(Hdf5Writer&)>& more, bool with_tail = true) {
    Become("maker");
    Forge(0, [&](Hdf5Writer& writer) {
      writer.Write<uint8_t>("examples/hash", {s.examples, 16}, hashes);
      writer.Write<int32_t>("examples/tokens", {s.examples}, counts);
      writer.Write<uint16_t>("rows/values", {s.tokens, 16}, values);
      writer.Write<uint16_t>("rows/ids", {s.tokens, 16}, ids);
      if (with_tail) writer.Write<uint16_t>("rows/tail", {s.tokens}, tails);
      more(writer);
    });
    Become("user");
    return TrustFault();
  };
  const std::string shard = ShardName(0) + ": ";
  const auto nothing = [](Hdf5Writer&) {};
  EXPECT_EQ(fault(nothing), shard + "row 0 holds id 7 twice");
  EXPECT_EQ(fault(nothing, false), shard + "dataset 'rows/tail' is missing");
  EXPECT_NE(fault([](Hdf5Writer& w) { w.SetInt("x", 1); }).find("holds 'x', which no shard has"),
            std::string::npos);
  EXPECT_NE(fault([](Hdf5Writer& w) {
              w.Write<uint8_t>("x", {0}, std::vector<uint8_t>{});
            }).find("holds 'x', which no shard has"),
            std::string::npos);
  std::swap(counts[0], counts[1]);
  counts[0] += 1000;
  EXPECT_NE(fault(nothing).find("an example claims"), std::string::npos);
  counts[0] -= 1000;
  hashes[0] ^= 1;
  EXPECT_NE(fault(nothing).find("is of other examples than"), std::string::npos);
}

}  // namespace
}  // namespace retort
