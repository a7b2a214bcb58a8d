// SPDX-License-Identifier: Apache-2.0
// Caches of another teacher or other data, unfinished, damaged or forged caches: each gives a clear
// error of one line.
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/data/teacher_cache_support.h"

namespace retort {
namespace {

constexpr const char* kAgain = "; run `retort teach` again into another folder";
constexpr const char* kMend = "; `retort teach` writes it again";

class TeacherCacheFaults : public testing::Test {
 protected:
  TeacherCacheFaults() { TeachAll(folder_, key_, examples_); }

  // The fault of reading everything, the folder's path taken away.
  std::string ReadFault() const {
    return InputFault(
        [&] {
          TeacherCacheReader reader(folder_);
          reader.Check(key_);
          reader.CheckExamples(examples_, WhereOf);
          std::vector<int64_t> all(examples_.size());
          for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
          ReadRows(reader, all, 1);
        },
        folder_ / "x");
  }
  std::string WriteFault(const TeacherCacheKey& key, const std::vector<Example>& examples) const {
    return InputFault([&] { TeacherCacheWriter(folder_, key, examples, WhereOf); }, folder_ / "x");
  }
  // Both ways of opening the folder for these examples.
  std::string ExamplesFault(const std::vector<Example>& examples) const {
    const std::string fault = InputFault(
        [&] { TeacherCacheReader(folder_).CheckExamples(examples, WhereOf); }, folder_ / "x");
    EXPECT_EQ(WriteFault(key_, examples), fault);
    return WithoutFolder(fault);
  }
  std::string WithoutFolder(const std::string& text) const {
    return ReplaceAll(text, folder_.string() + ": ", "");
  }
  Json Manifest() const { return ReadJson(folder_ / kTeacherCacheManifest); }
  void PutManifest(const Json& manifest) const {
    temp_.Write("cache/teacher-cache.json", DumpJson(manifest));
  }
  TempFolder temp_;
  Path folder_ = temp_.path() / "cache";
  TeacherCacheKey key_ = KeyOf(512, 16);
  std::vector<Example> examples_ = RandomExamples(40);
};

TEST_F(TeacherCacheFaults, TheShardsOfAForgedManifestHaveABoundInAll) {
  Json manifest = Manifest();
  ASSERT_GT(manifest["shards"].size(), 1u);
  for (Json& shard : manifest["shards"]) shard["bytes"] = int64_t{1} << 40;
  PutManifest(manifest);
  EXPECT_NE(ReadFault().find("its shards take more than 1099511627776 bytes"), std::string::npos);
}

TEST_F(TeacherCacheFaults, NoneToBeginWith) { EXPECT_EQ(ReadFault(), ""); }

TEST_F(TeacherCacheFaults, EveryFieldOfTheKeyIsCompared) {
  const auto fault = [&](const std::function<void(TeacherCacheKey&)>& change) {
    TeacherCacheKey key = key_;
    change(key);
    const std::string reading =
        InputFault([&] { TeacherCacheReader(folder_).Check(key); }, folder_ / "x");
    EXPECT_EQ(WriteFault(key, examples_), reading);
    EXPECT_TRUE(reading.empty() || EndsWith(reading, kAgain)) << reading;
    return ReplaceAll(WithoutFolder(reading), kAgain, "");
  };
  using Key = TeacherCacheKey;
  EXPECT_EQ(fault([](Key& k) { k.teacher = "moved/teacher"; }), "");
  EXPECT_EQ(fault([](Key& k) {
              k.fingerprint = "beef";
              k.teacher = "b";
            }),
            "the cache is of teacher 'f00d' (models/teacher), wanted is 'beef' (b)");
  EXPECT_EQ(fault([](Key& k) { k.adapter_fingerprint = "ada"; }),
            "the cache is of teacher's adapter none, wanted is 'ada'");
  EXPECT_EQ(fault([](Key& k) { k.tokenizer_hash = "x"; }),
            "the cache is of tokenizer '70ce', wanted is 'x'");
  EXPECT_EQ(fault([](Key& k) { k.template_hash = ""; }),
            "the cache is of chat template 'c4a7', wanted is none");
  EXPECT_EQ(fault([](Key& k) { k.vocab = 513; }), "the cache is of vocabulary 512, wanted is 513");
  EXPECT_EQ(fault([](Key& k) { k.top_k = 17; }), "the cache is of top_k 16, wanted is 17");
  EXPECT_EQ(fault([](Key& k) { k.temperature = 2; }), "the cache is of temperature 1, wanted is 2");
}

TEST_F(TeacherCacheFaults, TheFirstRowThatDiffersIsNamed) {
  std::vector<Example> changed = examples_;
  changed[31].ids[0] += 1;
  changed[12].labels.back() = kNoLoss;
  EXPECT_EQ(ExamplesFault(changed),
            Cat("train.jsonl:13 is not what the teacher saw there (the cache is of 40 examples, "
                "the data has 40)",
                kAgain));
  changed = examples_;
  changed.erase(changed.begin() + 5);  // the one after it now stands in its place
  EXPECT_EQ(ExamplesFault(changed),
            Cat("train.jsonl:6 is not what the teacher saw there (the cache is of 40 examples, "
                "the data has 39)",
                kAgain));
  changed = examples_;
  changed.push_back(examples_[0]);
  EXPECT_EQ(ExamplesFault(changed), Cat("the cache is of 40 examples, the data has 41, from "
                                        "train.jsonl:41 on new",
                                        kAgain));
  changed.resize(38);
  EXPECT_EQ(ExamplesFault(changed), Cat("the cache is of 40 examples, the data has 38", kAgain));
}

TEST_F(TeacherCacheFaults, AnUnfinishedCacheSaysHowMuchIsThere) {
  const Path half = temp_.path() / "half";
  Teach(half, key_, examples_, 20, 3000);
  const int64_t done = SummarizeTeacherCache(half).examples_done;
  EXPECT_EQ(InputFault([&] { TeacherCacheReader reader(half); }, half),
            Cat("half: the teacher's cache is not finished: ", done,
                " of 40 examples are there; "
                "`retort teach` goes on with the rest"));
  // What is not taught yet may still change; what is may not.
  std::vector<Example> changed = examples_;
  changed[39].ids[0] += 1;
  TeacherCacheWriter(half, key_, changed, WhereOf);
  changed[0].ids[0] += 1;
  EXPECT_NE(InputFault([&] { TeacherCacheWriter(half, key_, changed, WhereOf); }), "");
}

TEST_F(TeacherCacheFaults, OtherFolders) {
  const Path other = temp_.path() / "other";
  std::filesystem::create_directories(other);
  EXPECT_EQ(InputFault([&] { TeacherCacheReader reader(other); }, other),
            "other: holds no teacher-cache.json; make a teacher's cache with `retort teach`");
  temp_.Write("other/config.json", "{}");
  EXPECT_EQ(InputFault([&] { TeacherCacheWriter(other, key_, examples_, WhereOf); }, other),
            "other: is not empty and holds no teacher-cache.json; name a folder that is new or a "
            "teacher's cache");
}

// A reader says so and what to do; a writer then writes again what is damaged and nothing else.
TEST_F(TeacherCacheFaults, DamagedShards) {
  const std::string shard = ShardName(1), whole = ReadText(folder_ / shard);
  const auto files = FilesOf(folder_);
  const int64_t first = Manifest()["shards"][1]["first_example"];
  const int64_t count = Manifest()["shards"][1]["examples"];
  const auto mend = [&] {
    {
      TeacherCacheWriter writer(folder_, key_, examples_, WhereOf);
      EXPECT_EQ(writer.damaged_shards(), 1);
      EXPECT_EQ(writer.next_example(), first);
      EXPECT_EQ(writer.end_example(), first + count);
    }
    TeachAll(folder_, key_, examples_);
    EXPECT_EQ(FilesOf(folder_), files);
    EXPECT_EQ(ReadFault(), "");
  };
  std::string flipped = whole;
  flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 4);
  temp_.Write("cache/" + shard, flipped);
  EXPECT_TRUE(StartsWith(ReadFault(), shard + ": checksum is ")) << ReadFault();
  EXPECT_TRUE(EndsWith(ReadFault(), kMend)) << ReadFault();
  mend();
  temp_.Write("cache/" + shard, whole.substr(0, whole.size() - 100));
  EXPECT_EQ(ReadFault(), Cat(shard, ": has ", whole.size() - 100, " bytes, expected ", whole.size(),
                             "; the file was changed or damaged", kMend));
  mend();
  std::filesystem::remove(folder_ / shard);
  EXPECT_EQ(ReadFault(), Cat(shard, ": is missing", kMend));
  mend();
}

// Several at once, in a folder that was not finished: first what is damaged, then the rest.
TEST_F(TeacherCacheFaults, DamagedShardsOfAnUnfinishedCache) {
  const Path half = temp_.path() / "half";
  Teach(half, key_, examples_, 30, 3000);
  std::filesystem::remove(half / ShardName(0));
  temp_.Write("half/" + ShardName(2), "");
  {
    TeacherCacheWriter writer(half, key_, examples_, WhereOf);
    EXPECT_EQ(writer.damaged_shards(), 2);
    EXPECT_EQ(writer.next_example(), 0);
  }
  TeachAll(half, key_, examples_);
  EXPECT_EQ(FilesOf(half), FilesOf(folder_));
}

// Rows that changed are refused even where the shard of them can no longer be read.
TEST_F(TeacherCacheFaults, ChangedRowsOfADamagedShard) {
  std::vector<Example> changed = examples_;
  changed[0].ids[0] += 1;
  temp_.Write("cache/" + ShardName(0), "");
  const int64_t count = Manifest()["shards"][0]["examples"];
  EXPECT_EQ(WithoutFolder(WriteFault(key_, changed)),
            Cat("of the rows from train.jsonl:1 to train.jsonl:", count,
                " not all are what the teacher saw there", kAgain));
}

TEST_F(TeacherCacheFaults, TwoWritersOfOneFolder) {
  const Path folder = temp_.path() / "two";
  {
    TeacherCacheWriter first(folder, key_, examples_, WhereOf, {.shard_bytes = 3000});
    EXPECT_EQ(InputFault([&] { TeacherCacheWriter(folder, key_, examples_, WhereOf); }, folder),
              Cat("two: process ", ::getpid(), " is writing it; wait until that has ended"));
  }
  TeachAll(folder, key_, examples_);
  EXPECT_EQ(FilesOf(folder), FilesOf(folder_));
}

TEST_F(TeacherCacheFaults, ManifestsThatContradictThemselves) {
  const Json good = Manifest();
  const auto fault = [&](const std::function<void(Json&)>& change) {
    Json manifest = good;
    change(manifest);
    PutManifest(manifest);
    EXPECT_EQ(WriteFault(key_, examples_), ReadFault());
    return ReadFault();
  };
  const auto expect = [&](const std::function<void(Json&)>& change, const std::string& part) {
    const std::string text = fault(change);
    EXPECT_TRUE(StartsWith(text, "teacher-cache.json: ")) << text;
    EXPECT_NE(text.find(part), std::string::npos) << "no '" << part << "' in: " << text;
  };
  expect([](Json& m) { m["retort_teacher_cache"] = 2; }, "version 2");
  expect([](Json& m) { m.erase("fingerprint"); }, "'fingerprint' is missing");
  expect([](Json& m) { m["vocab"] = int64_t{1} << 40; }, "'vocab' is 1099511627776");
  expect([](Json& m) { m["vocab"] = 0; }, "'vocab' is 0");
  expect([](Json& m) { m["top_k"] = 513; }, "'top_k' is 513");
  expect([](Json& m) { m["temperature"] = -1; }, "'temperature' must be positive");
  expect([](Json& m) { m["examples"] = 0; }, "'examples' is 0");
  expect([](Json& m) { m["examples"] = 39; }, "beyond the 39");
  expect([](Json& m) { m["shards"] = Json::object(); }, "'shards' must be a list");
  expect([](Json& m) { m["shards"][1] = 7; }, "shard 1: must be an object");
  expect([](Json& m) { m["shards"].erase(1); }, "shard 1: 'first_example' is ");
  expect([](Json& m) { m["shards"][0]["sha256"] = "../x"; }, "shard 0: 'sha256' must be 64");
  expect([](Json& m) { m["shards"][0]["seal"] = "x"; }, "shard 0: 'seal' must be 64");
  expect([](Json& m) { m["shards"][0]["tokens"] = -1; }, "shard 0: 'tokens' is -1");
  expect([](Json& m) { m["shards"][0]["tokens"] = int64_t{1} << 35; }, "cannot hold");
  expect([](Json& m) { m["examples"] = m["shards"][0]["examples"] = int64_t{1} << 35; },
         "cannot hold");
  // Each shard alone is possible, all together overflow.
  expect(
      [](Json& m) {
        const int64_t shards = 8192;
        Json shard = m["shards"][0];
        shard.update({{"bytes", int64_t{1} << 40}, {"tokens", int64_t{1} << 25}, {"examples", 1}});
        m.update({{"vocab", 1 << 24}, {"top_k", 1 << 24}, {"examples", shards}});
        m["shards"] = Json::array();
        for (int64_t i = 0; i < shards; ++i) {
          shard["first_example"] = i;
          m["shards"].push_back(shard);
        }
      },
      "its shards take more than");
  std::string nested(100'000, '[');
  temp_.Write("cache/teacher-cache.json", nested);
  EXPECT_NE(ReadFault().find("nested deeper"), std::string::npos) << ReadFault();
  temp_.Write("cache/teacher-cache.json", "{\"vocab\": 1e999}");
  EXPECT_NE(ReadFault().find("not JSON"), std::string::npos) << ReadFault();
}

// Whatever a manifest says, it is refused in one line or it is right.
TEST_F(TeacherCacheFaults, RandomlyChangedManifests) {
  const std::string good = ReadText(folder_ / kTeacherCacheManifest);
  RandomStream random(MakeKey(7, RandomUse::kData));
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::string bad = good;
    for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
      constexpr std::string_view kBytes = "0123456789-.e\"{}[],: \\\n\xff";
      bad[random.Below(bad.size())] = kBytes[random.Below(kBytes.size())];
    }
    temp_.Write("cache/teacher-cache.json", bad);
    const std::string fault = ReadFault();  // any other kind of error fails the test
    EXPECT_EQ(fault.find('\n'), std::string::npos) << fault;
    refused += !fault.empty();
  }
  EXPECT_GT(refused, 300);  // the rest hit the teacher's path, white space or the shards' limit
}

}  // namespace
}  // namespace retort
