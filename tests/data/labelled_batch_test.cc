// SPDX-License-Identifier: Apache-2.0
#include "data/labelled_batch.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

constexpr int32_t kNo = kNoLoss;

// By hand: the label at a row's place i is predicted at place i - 1, one at place 0 by nothing.
TEST(LabelledBatch, ShiftsLabelsWithinEachRow) {
  const Example first{0, {10, 11, 12, 13}, {10, kNo, 12, 13}}, none{1, {20, 21}, {20, kNo}},
      last{2, {30, 31, 32}, {kNo, 7, kNo}};  // a label need not be the token itself
  MicroBatch micro{{&first, &none, &last}, {5, 3, 4}, 9, 3};
  const LabelledBatch data = MakeLabelledBatch(micro);
  EXPECT_EQ(data.batch.ids, (std::vector<int32_t>{10, 11, 12, 13, 20, 21, 30, 31, 32}));
  EXPECT_EQ(data.batch.positions, (std::vector<int32_t>{0, 1, 2, 3, 0, 1, 0, 1, 2}));
  EXPECT_EQ(data.batch.row_index, (std::vector<int64_t>{5, 5, 5, 5, 3, 3, 4, 4, 4}));
  EXPECT_EQ(data.rows, (std::vector<int32_t>{1, 2, 6}));
  EXPECT_EQ(data.targets, (std::vector<int32_t>{12, 13, 7}));
}

TEST(LabelledBatch, KnowsWhatBelongsToWhichRow) {
  const Example first{0, {10, 11, 12}, {10, 11, 12}}, none{1, {20}, {20}},
      last{2, {30, 31}, {kNo, 31}};
  LabelledBatch data;
  for (const Example* e : {&first, &none, &last}) data.Add(*e, e->row);
  ASSERT_EQ(data.examples(), 3u);
  const std::vector<double> values = {0.5, 1.5, 2.5};
  const auto of = [&](size_t e) {
    const auto part = data.Of(e, values);
    return std::vector<double>(part.begin(), part.end());
  };
  EXPECT_EQ(of(0), (std::vector<double>{0.5, 1.5}));
  EXPECT_TRUE(of(1).empty());
  EXPECT_EQ(of(2), (std::vector<double>{2.5}));
}

}  // namespace
}  // namespace retort
