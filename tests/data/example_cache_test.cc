// SPDX-License-Identifier: Apache-2.0
// The cache of tokenised rows: it changes nothing, and is trusted in nothing.
#include "data/example_cache.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/data/support.h"
#include "tests/support/fault_at.h"
#include "tests/tokenizer/byte_tokenizer.h"

namespace retort {
namespace {

class ExampleCacheTest : public testing::Test {
 protected:
  static std::string Text(int64_t rows) {
    std::string text;
    for (int64_t i = 0; i < rows; ++i) {
      text += Cat(R"({"prompt": "How many? )", std::string(static_cast<size_t>(i % 90), 'a'),
                  R"(", "completion": ")", i % 400, R"(", "id": )", i, "}\n");
      if (i % 100 == 7) text += "\n";
    }
    return text;
  }
  Rows Open() const { return Rows::Open({{folder_.path() / "a.jsonl", 1}}); }
  Path Cache() const { return folder_.path() / "cache"; }

  ExampleSet Make(ExampleWork work) {
    made_ = false;
    work.on_progress = [this](int64_t, int64_t) { made_ = true; };
    const Rows rows = Open();
    return MakeExamples(rows, tokenizer_, nullptr, options_, work);
  }
  ExampleSet MakeCached(bool keep = true) {
    return Make({.threads = 2, .cache = Cache(), .cached_rows = 0, .keep = keep});
  }
  std::vector<Path> Files() const {
    std::vector<Path> out;
    if (!std::filesystem::exists(Cache())) return out;
    for (const auto& entry : std::filesystem::directory_iterator(Cache()))
      out.push_back(entry.path());
    return out;
  }
  static void ExpectSame(const ExampleSet& a, const ExampleSet& b) {
    EXPECT_EQ(a.hash, b.hash);
    EXPECT_EQ(a.notes, b.notes);
    EXPECT_EQ(a.rows, b.rows);
    EXPECT_EQ(a.dropped, b.dropped);
    EXPECT_EQ(a.tokens, b.tokens);
    EXPECT_EQ(a.loss_tokens, b.loss_tokens);
    EXPECT_EQ(a.distinct_ids, b.distinct_ids);
    ASSERT_EQ(a.examples.size(), b.examples.size());
    auto other = b.examples.begin();
    for (const Example& e : a.examples) {
      EXPECT_EQ(e.ids, other->ids);
      EXPECT_EQ(e.labels, other->labels);
      EXPECT_EQ(e.row, other->row);
      ++other;
    }
  }

  ByteTokenizer tokenizer_;
  ExampleOptions options_;
  TempFolder folder_;
  bool made_ = false;  // rows were tokenised
};

TEST_F(ExampleCacheTest, ChangesNothingAndIsUsed) {
  folder_.Write("a.jsonl", Text(3000));
  const ExampleSet plain = Make({.threads = 1});
  EXPECT_EQ(plain.notes.size(), 2u);  // repeated rows, and a key that is not read
  ExpectSame(MakeCached(), plain);
  EXPECT_TRUE(made_);
  ASSERT_EQ(Files().size(), 1u);
  ExpectSame(MakeCached(), plain);
  EXPECT_FALSE(made_);
}

TEST_F(ExampleCacheTest, TheNumberOfThreadsChangesNothing) {
  folder_.Write("a.jsonl", Text(9000));  // several parts
  options_.over_length = OverLength::kDrop;
  options_.max_tokens = 80;
  const ExampleSet one = Make({.threads = 1});
  EXPECT_GT(one.dropped, 0);
  for (const int threads : {2, 4}) ExpectSame(Make({.threads = threads}), one);
}

TEST_F(ExampleCacheTest, WhatTheExamplesDependOnIsTheKey) {
  folder_.Write("a.jsonl", Text(100));
  MakeCached();
  const auto expect_made = [&](const char* what, size_t files) {
    MakeCached();
    EXPECT_TRUE(made_) << what;
    EXPECT_EQ(Files().size(), files) << what;
    MakeCached();
    EXPECT_FALSE(made_) << what;
  };
  options_.loss_on = LossOn::kAll;
  expect_made("options", 2);
  std::string text = Text(100);
  text[text.size() - 40] = 'x';
  folder_.Write("a.jsonl", text);
  expect_made("a byte of the rows", 3);
  tokenizer_ = ByteTokenizer(ByteTokenizer::AllMarks(), /*add_bos=*/false);
  expect_made("the tokenizer", 4);
  const auto made_of = [&](const Rows& rows) {
    made_ = false;
    MakeExamples(rows, tokenizer_, nullptr, options_,
                 {.cache = Cache(), .cached_rows = 0, .on_progress = [&](int64_t, int64_t) {
                    made_ = true;
                  }});
    return made_;
  };
  EXPECT_TRUE(made_of(Open().First(7)));
  EXPECT_FALSE(made_of(Open().First(7)));
  EXPECT_TRUE(made_of(Open().First(8)));
}

TEST_F(ExampleCacheTest, WhatIsDamagedOrForeignIsMadeAgain) {
  folder_.Write("a.jsonl", Text(300));
  const ExampleSet plain = Make({.threads = 1});
  MakeCached();
  const Path file = Files().at(0);
  const std::string whole = ReadText(file);
  const auto expect_made_again = [&](const std::string& text, const char* what) {
    folder_.Write("cache/" + file.filename().string(), text);
    ExpectSame(MakeCached(), plain);
    EXPECT_TRUE(made_) << what;
    EXPECT_EQ(ReadText(file), whole) << what;
    MakeCached();
    EXPECT_FALSE(made_) << what;
  };
  expect_made_again("", "empty");
  expect_made_again(whole.substr(0, whole.size() - 1), "cut short");
  expect_made_again(whole.substr(4), "without its first word");
  expect_made_again(whole + whole, "twice");
  for (const size_t at : {size_t{0}, whole.size() / 2, whole.size() - 900, whole.size() - 100,
                          whole.size() - 76, whole.size() - 40, whole.size() - 3}) {
    std::string other = whole;
    other[at] = static_cast<char>(other[at] ^ 1);
    expect_made_again(other, "a bit changed");
  }
  std::string foreign = whole;  // sealed under another secret
  for (size_t i = whole.size() - 72; i < whole.size() - 8; ++i) foreign[i] = '0';
  expect_made_again(foreign, "foreign seal");
}

TEST_F(ExampleCacheTest, WhatMayNotBeKeptLeavesNothing) {
  folder_.Write("a.jsonl", Text(300));
  const ExampleSet plain = Make({.threads = 1});
  ExpectSame(MakeCached(/*keep=*/false), plain);
  EXPECT_TRUE(made_);
  EXPECT_FALSE(std::filesystem::exists(Cache()));
  MakeCached();
  ExpectSame(MakeCached(/*keep=*/false), plain);
  EXPECT_FALSE(made_);
  EXPECT_EQ(Files().size(), 1u);
}

TEST_F(ExampleCacheTest, FewRowsAreNotKept) {
  folder_.Write("a.jsonl", Text(300));
  Make({.cache = Cache()});
  EXPECT_FALSE(std::filesystem::exists(Cache()));
}

TEST_F(ExampleCacheTest, FaultyRowsLeaveNothing) {
  folder_.Write("a.jsonl", Text(300) + "{\"prompt\": 1}\n");
  EXPECT_NE(InputFault([&] { MakeCached(); }), "");
  EXPECT_TRUE(Files().empty());
}

// Whatever change of the disk fails: no half of a cache is ever read, and nothing stays behind.
TEST_F(ExampleCacheTest, AFaultOfTheDiskLeavesAWholeCacheOrNone) {
  folder_.Write("a.jsonl", Text(60));
  const ExampleSet plain = MakeCached();
  for (const Fault fault : {Fault::kNoSpace, Fault::kInputOutput}) {
    for (int64_t k = 0;; ++k) {
      std::filesystem::remove_all(Cache());
      bool met;
      {
        const FaultAt at(k, fault);
        try {
          MakeCached();
        } catch (const Error& e) {
          EXPECT_EQ(e.kind(), Error::Kind::kFailure) << e.what();
        }
        met = at.changes() > k;
      }
      for (const Path& file : Files()) EXPECT_EQ(file.extension(), ".examples") << k;
      ExpectSame(MakeCached(), plain);
      if (!met) break;
    }
  }
}

TEST_F(ExampleCacheTest, WhatWasNotUsedForLongestGoesFirst) {
  std::filesystem::create_directories(Cache());
  const auto now = std::filesystem::file_time_type::clock::now();
  const auto put = [&](const char* name, std::chrono::hours age) {
    WriteTextAtomically(Cache() / name, std::string(1000, 'x'));
    std::filesystem::last_write_time(Cache() / name, now - age);
  };
  const auto names = [&] {
    std::vector<std::string> out;
    for (const Path& file : Files()) out.push_back(file.filename().string());
    std::ranges::sort(out);
    return out;
  };
  using Names = std::vector<std::string>;
  put("a.examples", std::chrono::hours(3));
  put("b.examples", std::chrono::hours(1));
  put("c.examples", std::chrono::hours(2));
  put("d.examples", std::chrono::hours(24 * 31));
  put("other", std::chrono::hours(24 * 60));  // none of ours
  RemoveOldCaches(Cache());
  EXPECT_EQ(names(), (Names{"a.examples", "b.examples", "c.examples", "other"}));
  RemoveOldCaches(Cache(), 2000);
  EXPECT_EQ(names(), (Names{"b.examples", "c.examples", "other"}));
  RemoveOldCaches(Cache(), 10);
  EXPECT_EQ(names(), (Names{"b.examples", "other"}));
}

TEST_F(ExampleCacheTest, OfAKilledWriterNothingIsReadAndTheNextOneCleansUp) {
  folder_.Write("a.jsonl", Text(60));
  const ExampleSet plain = MakeCached();
  for (int64_t k = 0;; ++k) {
    std::filesystem::remove_all(Cache());
    const bool killed = CrashesAt(k, [&] { MakeCached(); });
    ExpectSame(MakeCached(), plain);
    EXPECT_EQ(Files().size(), 1u) << k;
    if (!killed) break;
  }
}

}  // namespace
}  // namespace retort
