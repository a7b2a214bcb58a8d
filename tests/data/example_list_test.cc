// SPDX-License-Identifier: Apache-2.0
// Examples as words: what goes in comes out, in memory and in a file.
#include "data/example_list.h"

#include <gtest/gtest.h>

#include "base/file_reader.h"
#include "base/random.h"
#include "tests/data/support.h"

namespace retort {
namespace {

std::vector<Example> SomeExamples(int64_t count) {
  RandomStream random(MakeKey(5, RandomUse::kData));
  std::vector<Example> out(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    Example& e = out[static_cast<size_t>(i)];
    e.index = i;
    e.row = 3 * i;
    e.joined = i % 3 == 1;
    e.wanted = i % 3 != 1;
    e.generated = i % 7 == 2;
    e.answer = static_cast<int64_t>(random.Below(5));
    const bool own_labels = i % 5 == 0;
    for (uint64_t t = random.Below(300) + 1; t > 0; --t) {
      e.ids.push_back(static_cast<int32_t>(random.Below(1u << 31)));
      e.labels.push_back(random.Below(2) ? kNoLoss : e.ids.back() + (own_labels ? 1 : 0));
    }
  }
  return out;
}

void ExpectSame(const Example& got, const Example& want) {
  EXPECT_EQ(got.index, want.index);
  EXPECT_EQ(got.row, want.row);
  EXPECT_EQ(got.ids, want.ids);
  EXPECT_EQ(got.labels, want.labels);
  EXPECT_EQ(got.joined, want.joined);
  EXPECT_EQ(got.wanted, want.wanted);
  EXPECT_EQ(got.generated, want.generated);
  EXPECT_EQ(got.answer, want.answer);
}

void ExpectSame(const Examples& got, const std::vector<Example>& want) {
  ASSERT_EQ(got.size(), std::ssize(want));
  for (int64_t i = got.size(); i-- > 0;) {
    ExpectSame(got[i], want[static_cast<size_t>(i)]);
    EXPECT_EQ(got.tokens(i), want[static_cast<size_t>(i)].size());
    EXPECT_EQ(got.joined(i), want[static_cast<size_t>(i)].joined);
  }
  size_t next = 0;
  for (const Example& e : got) ExpectSame(e, want[next++]);
  EXPECT_EQ(next, want.size());
}

TEST(Examples, AreWhatWasPutIn) {
  const std::vector<Example> want = SomeExamples(500);  // more than a block and a piece
  const Examples list = want;
  ExpectSame(list, want);
  EXPECT_EQ(list.CountJoined(), 167);
  EXPECT_EQ(list.First(3).size(), 3u);
  EXPECT_EQ(list.First(1000).size(), 500u);
  ExpectSame(Examples(), {});
  EXPECT_TRUE(Examples().empty());
}

TEST(Examples, OfAFileLastLongerThanItsName) {
  const TempFolder folder;
  const std::vector<Example> want = SomeExamples(500);
  std::vector<uint32_t> words = {1, 2, 3}, sizes;
  for (const Example& e : want) {
    AppendWords(e, words);
    sizes.push_back(ExampleSize(e).word());
  }
  std::shared_ptr<const FileReader> reader;
  {
    AtomicFile file(folder.path() / "words");
    file.Write(std::as_bytes(std::span(words)));
    reader = file.Reader();
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  ExpectSame(Examples(reader, 12, sizes), want);
}

}  // namespace
}  // namespace retort
