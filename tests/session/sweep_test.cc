// SPDX-License-Identifier: Apache-2.0
#include "session/sweep.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "recipes/recipe_reader.h"
#include "tests/formats/support.h"

namespace retort {
namespace {

TEST(Sweep, TriesAllCombinations) {
  const std::vector<SweepKey> keys = {
      ParseSweepKey("train.lr=1e-3,0.01"),
      ParseSweepKey("adapter.targets=[[\"q_proj\"], \"all-linear\"]")};
  const auto runs = SweepRuns(keys, 0, 1);
  ASSERT_EQ(runs.size(), 4u);
  EXPECT_EQ(runs[0], (std::vector<std::string>{"train.lr=1e-3", "adapter.targets=[\"q_proj\"]"}));
  EXPECT_EQ(runs[1], (std::vector<std::string>{"train.lr=1e-3", "adapter.targets=\"all-linear\""}));
  EXPECT_EQ(runs[2][0], "train.lr=0.01");
}

TEST(Sweep, DrawsWithoutRepetition) {
  const std::vector<SweepKey> keys = {ParseSweepKey("a=[1,2,3,4,5,6,7]"),
                                      ParseSweepKey("b=[1,2,3]")};
  const auto all = SweepRuns(keys, 0, 1), some = SweepRuns(keys, 10, 1);
  const std::set<std::vector<std::string>> possible(all.begin(), all.end()),
      drawn(some.begin(), some.end());
  EXPECT_EQ(drawn.size(), 10u);
  EXPECT_TRUE(std::ranges::includes(possible, drawn));
  EXPECT_EQ(some, SweepRuns(keys, 10, 1));
  EXPECT_NE(some, SweepRuns(keys, 10, 2));
  EXPECT_EQ(SweepRuns(keys, 100, 1), all);
}

TEST(Sweep, RefusesWhatIsNoList) {
  for (const char* text :
       {"train.lr", "=1", "train.lr=", "train.lr=1,,2", "train.lr=[]", "train.lr=[1"})
    EXPECT_THROW(ParseSweepKey(text), Error) << text;
  const SweepKey key = ParseSweepKey("a=[1]");
  EXPECT_THROW(SweepRuns({key, key}, 0, 1), Error);
}

TEST(Sweep, PutsTheBestFirst) {
  const TemporaryFolder folder;
  const auto put = [&](const char* name, const char* text) {
    std::filesystem::create_directory(folder.path() / name);
    folder.Put(Cat(name, "/summary.json"), text);
    return folder.path() / name;
  };
  const Path good = put("a", R"({"seconds": 2, "eval_loss": 0.5, "eval_exact": 0.9})"),
             even = put("b", R"({"seconds": 2, "eval_loss": 0.4, "eval_exact": 0.9})"),
             bad = put("c", R"({"seconds": 2, "eval_loss": 0.1, "eval_exact": 0.2})"),
             lost = put("d", R"({"seconds": 2, "eval_loss": 9, "diverged": "the loss rose"})");
  const auto order = [&](const std::string& by) {
    std::vector<SweepResult> results;
    for (const Path& run : {lost, good, even, bad, folder.path() / "none"})
      results.push_back(ReadSweepResult(run, results.size(), by, run == lost ? 1 : 0));
    SortResults(results);
    std::vector<size_t> out;
    for (const SweepResult& r : results) out.push_back(r.run);
    return out;
  };
  EXPECT_EQ(order("exact"), (std::vector<size_t>{2, 1, 3, 0, 4}));
  EXPECT_EQ(order("loss"), (std::vector<size_t>{3, 2, 1, 0, 4}));
  // What a run that failed has in its folder is of an earlier one.
  std::vector<SweepResult> one = {ReadSweepResult(good, 0, "exact", 0),
                                  ReadSweepResult(lost, 1, "exact", 1),
                                  ReadSweepResult(even, 2, "exact", 2)};
  const auto table =
      SweepTable(one, {{"train.lr=0.1"}, {"train.lr=9"}, {"adapter.rank=2"}}, "exact");
  ASSERT_EQ(table.size(), 4u);
  EXPECT_EQ(table[1], "run-1         0.9000        0.5000         2  train.lr=0.1");
  EXPECT_EQ(table[2], "run-2                     diverged         2  train.lr=9");
  EXPECT_EQ(table[3], "run-3                       failed         2  adapter.rank=2");
}

TEST(Sweep, ComparesWhatIsMeasuredAlike) {
  const auto compared = [](const std::vector<std::vector<std::string>>& runs) {
    std::vector<Recipe> recipes;
    for (const auto& settings : runs)
      recipes.push_back(ParseRecipe(R"({"model": {"path": "m"}, "data": {"train": "t.jsonl"}})",
                                    "recipe", "folder", settings));
    return ComparedBy(recipes);
  };
  EXPECT_EQ(
      compared({{"data.eval=e.jsonl", "train.seed=1"}, {"data.eval=e.jsonl", "train.seed=2"}}),
      "loss");
  EXPECT_EQ(compared({{"data.val_split=0.1", "train.best_by=exact"}}), "exact");
  const std::string split = "data.val_split=0.1";
  for (const auto& runs : std::vector<std::vector<std::vector<std::string>>>{
           {{}},
           {{split}, {"data.val_split=0.2"}},
           {{"data.eval=a.jsonl"}, {"data.eval=b.jsonl"}},
           {{split, "train.seed=1"}, {split, "train.seed=2"}},
           {{split}, {split, "train.best_by=exact"}}})
    EXPECT_THROW(compared(runs), Error);
}

}  // namespace
}  // namespace retort
