// SPDX-License-Identifier: Apache-2.0
#include "base/work_budget.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/seeded_hash.h"

namespace retort {
namespace {

TEST(WorkBudget, IsSpentToTheLastUnitAndNoFurther) {
  WorkBudget budget(10);
  EXPECT_TRUE(budget.Take(1));
  budget.Spend(9, "tokenizer.json: the normalizer");
  EXPECT_EQ(budget.left(), 0u);
  EXPECT_FALSE(budget.Take(1));
  try {
    budget.Spend(1, "tokenizer.json: the normalizer");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::kInput);
    EXPECT_TRUE(std::string_view(e.what()).starts_with(
        "tokenizer.json: the normalizer takes more than 10 steps"))
        << e.what();
  }
}

TEST(WorkBudget, ACountOfAnySizeDoesNotWrapAround) {
  WorkBudget budget(10);
  EXPECT_TRUE(budget.Take(5));
  EXPECT_FALSE(budget.Take(UINT64_MAX - 2));
  EXPECT_EQ(budget.left(), 0u);
}

// Texts of every length and in every byte of difference have values of their own, in their low bits
// too, which choose a table's place; and another key has other values.
TEST(SeededHash, SpreadsTexts) {
  std::set<uint64_t> low;
  size_t texts = 0;
  for (size_t length = 0; length < 40; ++length) {
    std::string text(length, 'a');
    low.insert(SeededHash(text) & 0xffffffff);
    ++texts;
    for (char& c : text) {
      c ^= 1;
      low.insert(SeededHash(text) & 0xffffffff);
      c ^= 1;
      ++texts;
    }
  }
  EXPECT_GE(low.size() + 1, texts);
  EXPECT_EQ(SeededHash("abc"), SeededHash(std::string("abc")));
  EXPECT_NE(SeededHash("abc", HashKey{1, 3}), SeededHash("abc", HashKey{2, 5}));
}

}  // namespace
}  // namespace retort
