// SPDX-License-Identifier: Apache-2.0
#include "data/teacher_cache.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "base/hex.h"
#include "data/teacher_files.h"
#include "tests/data/teacher_cache_support.h"

namespace retort {
namespace {

constexpr double kLn2 = 0.6931471805599453;

class TeacherCache : public testing::Test {
 protected:
  Path Folder(const std::string& name = "cache") const { return temp_.path() / name; }

  TempFolder temp_;
};

// Sum of a row, tail included.
double SumOf(const TopTokens& t, int64_t row) {
  double sum = std::exp(double{t.tail[row]});
  for (int64_t j = 0; j < t.k; ++j) sum += std::exp(double{t.log_probs[row * t.k + j]});
  return sum;
}

// Rounding to f16 moves log p by at most 2^-11 of itself (2^-25 near 0); the sum of the row, by
// which all are shifted, by no more than 2^-11 times the entropy, itself at most log V.
void ExpectWithinF16(const TopTokens& have, const TopTokens& want, int64_t vocab) {
  ASSERT_EQ(have.n, want.n);
  ASSERT_EQ(have.k, want.k);
  ASSERT_EQ(have.ids, want.ids);
  const double shift = std::log(static_cast<double>(vocab)) / 2048;
  const auto near = [&](float a, float b) {
    if (a == b) return true;
    return std::abs(double{a} - b) <= -double{b} / 2048 + shift + 1e-6;
  };
  for (int64_t row = 0; row < have.n; ++row) {
    ASSERT_NEAR(SumOf(have, row), 1, 2e-6);
    ASSERT_TRUE(near(have.tail[row], want.tail[row])) << have.tail[row] << " " << want.tail[row];
    for (int64_t i = row * have.k; i < (row + 1) * have.k; ++i) {
      ASSERT_TRUE(near(have.log_probs[i], want.log_probs[i]))
          << i << ": " << have.log_probs[i] << " " << want.log_probs[i];
    }
  }
}

TEST_F(TeacherCache, GivesBackEveryExampleInAnyOrder) {
  const std::vector<Example> examples = RandomExamples(30);
  struct Case {
    int64_t vocab, top_k;
  };
  for (const auto [vocab, top_k] : {Case{512, 64},
                                    {512, 1},
                                    {300, 300},
                                    {40, 99},
                                    {70'000, 5},
                                    {65'536, 3},
                                    {65'537, 3},
                                    {5000, 4999}}) {
    const TeacherCacheKey key = KeyOf(vocab, top_k, 1.5);
    const Path folder = Folder(Cat(vocab, "-", top_k));
    TeachAll(folder, key, examples, 800);
    TeacherCacheReader reader(folder);
    EXPECT_GT(reader.summary().shards, 1);
    reader.Check(key);
    reader.CheckExamples(examples, WhereOf);
    for (const std::vector<int64_t>& batch : std::vector<std::vector<int64_t>>{
             {0}, {29, 3, 17, 17, 0, 21}, {3}, {}, {28, 27, 26, 1, 2}}) {
      TopTokens want(0, std::min(top_k, vocab));
      for (const int64_t e : batch) {
        const TopTokens rows = RowsOf(e, examples[e].LossTokens(), key);
        want.n += rows.n;
        want.ids.insert(want.ids.end(), rows.ids.begin(), rows.ids.end());
        want.log_probs.insert(want.log_probs.end(), rows.log_probs.begin(), rows.log_probs.end());
        want.tail.insert(want.tail.end(), rows.tail.begin(), rows.tail.end());
      }
      ExpectWithinF16(ReadRows(reader, batch, 1.5), want, vocab);
      if (HasFatalFailure()) FAIL() << "vocabulary " << vocab << ", top_k " << top_k;
    }
  }
}

// The stored values are exactly the rounded ones, then shifted so that the row sums to 1.
TEST_F(TeacherCache, RoundsToNearestEvenAndClamps) {
  std::vector<Example> examples = {{0, {1, 2}, {kNoLoss, 2}}};
  TopTokens rows(1, 3);
  rows.ids = {7, 0, 9};
  rows.log_probs = {static_cast<float>(-kLn2), -1e6f, -std::numeric_limits<float>::infinity()};
  rows.tail = {static_cast<float>(-kLn2)};
  TeacherCacheWriter writer(Folder(), KeyOf(512, 3), examples, WhereOf);
  writer.Append(rows);
  writer.Finish();
  TeacherCacheReader reader(Folder());
  const TopTokens have = ReadRows(reader, std::vector<int64_t>{0}, 1);
  // 0.69314718 lies between the halves 0.693359375 (1420 / 2048) and 0.69287109375.
  const double sum = std::log(2 * std::exp(-0.693359375));
  EXPECT_EQ(have.ids, rows.ids);
  EXPECT_FLOAT_EQ(have.log_probs[0], static_cast<float>(-0.693359375 - sum));
  EXPECT_FLOAT_EQ(have.log_probs[1], -65504);
  EXPECT_FLOAT_EQ(have.log_probs[2], -65504);
  EXPECT_FLOAT_EQ(have.tail[0], static_cast<float>(-kLn2));
}

TEST_F(TeacherCache, AnotherTemperatureWhereAllWasKept) {
  const std::vector<Example> examples = RandomExamples(5);
  const TeacherCacheKey at_one = KeyOf(100, 100, 1), at_two = KeyOf(100, 100, 2);
  TeachAll(Folder(), at_one, examples);
  TeacherCacheReader reader(Folder());
  reader.Check(at_two);
  const TopTokens have = ReadRows(reader, std::vector<int64_t>{2}, 2);
  ExpectWithinF16(have, RowsOf(2, examples[2].LossTokens(), at_two), 100);
}

TEST_F(TeacherCache, AKillLosesOneShardAndTheBytesAreTheSame) {
  const std::vector<Example> examples = RandomExamples(80);
  const TeacherCacheKey key = KeyOf(512, 16);
  TeachAll(Folder("whole"), key, examples);
  const auto whole = FilesOf(Folder("whole"));
  ASSERT_GT(whole.size(), 6u);
  int64_t resumed_at = -1;
  for (const int64_t until : {0, 1, 20, 21, 50, 79}) {
    Teach(Folder(), key, examples, until, 3000);
    // What a killed process leaves of a file that it was writing.
    temp_.Write(Cat("cache/.", ShardName(until % 5), ".123.partial"), "half of it");
    temp_.Write("cache/.teacher-cache.json.123.partial", "{");
    // And a shard in place that the manifest does not know yet.
    const TeacherCacheSummary summary = SummarizeTeacherCache(Folder());
    EXPECT_FALSE(summary.finished());
    temp_.Write("cache/" + ShardName(summary.shards), "not listed");
    TeacherCacheWriter writer(Folder(), key, examples, WhereOf, {.shard_bytes = 17});
    EXPECT_GE(writer.next_example(), resumed_at);
    EXPECT_LE(writer.next_example(), until);
    EXPECT_GE(writer.next_example(), until - 12);  // a shard holds fewer examples than that
    resumed_at = writer.next_example();
  }
  TeachAll(Folder(), key, examples);
  EXPECT_EQ(FilesOf(Folder()), whole);
  // A finished folder has nothing left to do.
  TeacherCacheWriter writer(Folder(), key, examples, WhereOf);
  EXPECT_EQ(writer.next_example(), 80);
  writer.Finish();
  EXPECT_THROW(writer.Append(TopTokens(0, 16)), Error);
  EXPECT_EQ(FilesOf(Folder()), whole);
}

// The same with a process that is really killed, whatever it is doing.
TEST_F(TeacherCache, SurvivesBeingKilledAtAnyMoment) {
  const std::vector<Example> examples = RandomExamples(80);
  const TeacherCacheKey key = KeyOf(512, 16);
  TeachAll(Folder("whole"), key, examples);
  int kills = 0;
  for (useconds_t wait = 3000;; wait += 3000) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      TeachAll(Folder(), key, examples);
      _exit(0);
    }
    usleep(wait);
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
      ASSERT_EQ(WEXITSTATUS(status), 0);
      break;
    }
    ++kills;
  }
  EXPECT_GT(kills, 0);
  EXPECT_EQ(FilesOf(Folder()), FilesOf(Folder("whole")));
}

TEST_F(TeacherCache, NoMoreThanSixBytesAKeptId) {
  EXPECT_EQ(TeacherBytesPerToken(512, 64), 64 * 4 + 2);
  EXPECT_EQ(TeacherBytesPerToken(65'536, 64), 64 * 4 + 2);
  EXPECT_EQ(TeacherBytesPerToken(65'537, 64), 64 * 5 + 2);
  EXPECT_EQ(TeacherBytesPerToken(512, 1000), 512 * 2);
  for (const int64_t vocab : {1, 2, 512, 65'536, 65'537, 152'064, 1 << 24}) {
    for (const int64_t k : {1, 2, 3, 64, 1024}) {
      if (k == 1 && vocab > 65'536) continue;  // 7: the tail outweighs the one id
      EXPECT_LE(TeacherBytesPerToken(vocab, k), 6 * std::min(k, vocab)) << vocab << " " << k;
    }
  }
}

// The arithmetic against the datasets that are really there.
TEST_F(TeacherCache, TheArithmeticIsThatOfTheFiles) {
  const std::vector<Example> examples = RandomExamples(40);
  for (const auto& key : {KeyOf(512, 8), KeyOf(70'000, 8), KeyOf(50, 50)}) {
    const Path folder = Folder(Cat(key.vocab));
    TeachAll(folder, key, examples, 5000);
    const std::map<std::string, int64_t> sizes = {{"u8", 1}, {"u16", 2}, {"i32", 4}};
    int64_t bytes = 0, files = 0, stored = 0;
    const TeacherManifest manifest = ReadTeacherManifest(folder);
    for (const auto& [name, checksum] : FilesOf(folder)) {
      if (!EndsWith(name, ".h5")) continue;
      const Hdf5Stamp& stamp = manifest.shards[static_cast<size_t>(files++)].stamp;
      EXPECT_EQ(stamp.sha256, checksum);
      EXPECT_EQ(stamp.bytes, static_cast<int64_t>(std::filesystem::file_size(folder / name)));
      stored += stamp.bytes;
      const auto reader = Hdf5Reader::OpenSealed(folder / name, stamp);
      for (const auto& d : reader.Datasets()) {
        bytes += sizes.at(d.type) * d.shape[0] * (d.shape.size() == 2 ? d.shape[1] : 1);
      }
    }
    EXPECT_EQ(bytes, TeacherCacheBytes(examples, key.vocab, key.top_k));
    const TeacherCacheSummary summary = SummarizeTeacherCache(folder);
    EXPECT_EQ(summary.raw_bytes, bytes);
    EXPECT_EQ(summary.stored_bytes, stored);
    EXPECT_EQ(summary.shards, files);
    EXPECT_EQ(summary.examples, 40);
    EXPECT_EQ(summary.key.top_k, std::min(key.top_k, key.vocab));
    int64_t tokens = 0;
    for (const Example& e : examples) tokens += e.LossTokens();
    EXPECT_EQ(summary.tokens_done, tokens);
  }
}

TEST_F(TeacherCache, HashesIdsAndLabels) {
  // printf '\001\000\000\000\002\000\000\000\234\377\377\377\002\000\000\000' | sha256sum
  const ExampleHash hash = HashOf({5, {1, 2}, {kNoLoss, 2}});
  const std::string_view bytes(reinterpret_cast<const char*>(hash.data()), hash.size());
  EXPECT_EQ(HexText(bytes), "a568bf08973b1b8502c2e30d1b9a29ac");
  EXPECT_EQ(HashOf({9, {1, 2}, {kNoLoss, 2}}), hash);  // whichever row it came from
  EXPECT_NE(HashOf({5, {1, 2}, {kNoLoss, kNoLoss}}), hash);
  EXPECT_NE(HashOf({5, {2, 2}, {kNoLoss, 2}}), hash);
}

TEST_F(TeacherCache, RowsThatAreNotTheExamplesAreABug) {
  const std::vector<Example> examples = {{0, {1, 2, 3}, {kNoLoss, 2, 3}}};
  const TeacherCacheKey key = KeyOf(512, 4);
  TeacherCacheWriter writer(Folder(), key, examples, WhereOf);
  EXPECT_THROW(writer.Append(RowsOf(0, 1, key)), Error);            // rows
  EXPECT_THROW(writer.Append(RowsOf(0, 2, KeyOf(512, 5))), Error);  // k
  EXPECT_THROW(writer.Finish(), Error);
}

}  // namespace
}  // namespace retort
