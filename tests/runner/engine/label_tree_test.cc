// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/label_tree.h"

#include <gtest/gtest.h>

#include <set>

namespace retort {
namespace {

using Ids = std::vector<int32_t>;

// What query t of a batch sees, as tokens, by the layout's own rule.
Ids Seen(const Batch& batch, int32_t t) {
  for (const AttentionRun& run : batch.layout.runs) {
    if (t < run.first_query || t >= run.first_query + run.queries) continue;
    Ids out;
    for (int32_t key = 0; key <= run.first_position + t - run.first_query; ++key) {
      const int32_t row =
          batch.layout
              .block_rows[static_cast<size_t>(run.first_block + key / batch.layout.block_size)] +
          key % batch.layout.block_size;
      out.push_back(batch.ids[static_cast<size_t>(row)]);
    }
    return out;
  }
  return {};
}

Ids Joined(Ids a, const Ids& b, size_t count) {
  a.insert(a.end(), b.begin(), b.begin() + static_cast<int64_t>(count));
  return a;
}

TEST(LabelTree, SharesWhatLabelsBeginWith) {
  // 9 is the end; "1" is the beginning of others, "1 2" occurs thrice.
  const LabelTree tree({{1, 2, 3, 9}, {1, 9}, {1, 2, 4, 5, 9}, {6, 9}, {1, 2, 9}});
  EXPECT_EQ(tree.nodes().size(), 6u);  // 1, 2, 3, 4, 5, 6
  EXPECT_EQ(tree.steps().size(), 6u + 5u);
  EXPECT_EQ(tree.depth(), 4);
}

TEST(LabelTree, EveryTokenSeesThePromptAndItsAncestorsAlone) {
  const std::vector<Ids> labels = {{1, 2, 3, 9}, {1, 9}, {1, 2, 4, 5, 9}, {6, 9}, {1, 2, 9}, {8}};
  const LabelTree tree(labels);
  Batch batch;
  for (const Ids& prompt : {Ids{100, 101, 102}, Ids{200}}) {
    const auto begin = static_cast<int32_t>(batch.tokens());
    const Ids after = tree.AppendTo(prompt, batch);
    ASSERT_EQ(after.size(), tree.steps().size());
    // All ways from the prompt to a step, as (what is seen, what is predicted).
    std::set<std::pair<Ids, int32_t>> got, want;
    for (size_t s = 0; s < after.size(); ++s)
      got.insert({Seen(batch, after[s]), tree.steps()[s].token});
    for (const Ids& label : labels) {
      for (size_t i = 0; i < label.size(); ++i) want.insert({Joined(prompt, label, i), label[i]});
    }
    EXPECT_EQ(got, want);
    for (int32_t t = begin; t < batch.tokens(); ++t) {
      EXPECT_EQ(Seen(batch, t).back(), batch.ids[static_cast<size_t>(t)]);
      EXPECT_EQ(Seen(batch, t).size(),
                static_cast<size_t>(batch.positions[static_cast<size_t>(t)]) + 1);
    }
  }
}

TEST(LabelTree, SumsEachLabelsOwnSteps) {
  const std::vector<Ids> labels = {{1, 2, 9}, {1, 9}, {1, 3, 9}, {1, 9}};
  const LabelTree tree(labels);
  std::vector<double> losses;
  // A step's loss spells what is predicted and how deep: 1 -> 1, 2 -> 20, 3 -> 30, 9 after 1 -> 90,
  // deeper -> 900.
  for (const auto& step : tree.steps()) {
    const int32_t depth =
        step.after < 0 ? 0 : tree.nodes()[static_cast<size_t>(step.after)].depth + 1;
    losses.push_back(step.token * (depth == 0 ? 1 : depth == 1 ? 10 : 100));
  }
  EXPECT_EQ(tree.LogProbabilities(losses),
            (std::vector<double>{-(1 + 20 + 900), -(1 + 90), -(1 + 30 + 900), -(1 + 90)}));
}

}  // namespace
}  // namespace retort
