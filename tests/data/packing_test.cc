// SPDX-License-Identifier: Apache-2.0
#include "data/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "base/random.h"
#include "tests/data/support.h"

namespace retort {
namespace {

// Lengths 1..64, each row telling itself apart by its ids; every third token carries loss.
std::vector<Example> MakeRows(int64_t count) {
  RandomStream random(MakeKey(7, RandomUse::kData));
  std::vector<Example> rows;
  for (int64_t r = 0; r < count; ++r) {
    Example e;
    e.row = r;
    e.ids.assign(1 + random.Below(64), static_cast<int32_t>(r));
    for (size_t i = 0; i < e.ids.size(); ++i) e.labels.push_back(i % 3 ? kNoLoss : e.ids[i]);
    rows.push_back(std::move(e));
  }
  return rows;
}

BatchOptions Options(bool packing, bool shuffle, int64_t epochs) {
  BatchOptions options;
  options.batch_rows = 3;
  options.accumulate = 2;
  options.max_tokens = 100;
  options.packing = packing;
  options.shuffle = shuffle;
  options.epochs = epochs;
  return options;
}

// The rows in groups of these sizes, over and over; the sizes' sum divides the count.
std::vector<Example> MakeGroups(int64_t count, const std::vector<int64_t>& sizes) {
  std::vector<Example> rows = MakeRows(count);
  size_t r = 0;
  while (r < rows.size()) {
    for (const int64_t size : sizes) {
      for (int64_t i = 0; i < size; ++i) rows[r++].joined = i > 0;
    }
  }
  return rows;
}

// Groups may be as long as two or three rows here, so some are longer than a sequence and a batch.
std::vector<BatchOptions> EveryMode(int64_t epochs) {
  std::vector<BatchOptions> modes;
  for (const bool shuffle : {false, true}) {
    for (const bool packing : {false, true}) modes.push_back(Options(packing, shuffle, epochs));
    for (const int64_t batch_tokens : {1, 90, 400}) {
      modes.push_back(Options(false, shuffle, epochs));
      modes.back().batch_tokens = batch_tokens;
    }
  }
  return modes;
}

// That these rows are whole groups of `examples`, each in its order.
void ExpectWholeGroups(const std::vector<Example>& examples, const MicroBatch& micro) {
  ASSERT_EQ(micro.order.size(), micro.rows.size());
  size_t r = 0;
  while (r < micro.rows.size()) {
    auto at = static_cast<size_t>(micro.rows[r]->row);
    ASSERT_FALSE(examples[at].joined) << "row " << at << " came without those before it";
    const int64_t first = micro.order[r] - micro.rows[r]->row;
    do {
      ASSERT_LT(r, micro.rows.size()) << "row " << at << " is missing";
      ASSERT_EQ(micro.rows[r]->ids, examples[at].ids);
      ASSERT_EQ(micro.rows[r]->index, micro.rows[r]->row);
      ASSERT_EQ(micro.order[r], first + micro.rows[r]->row);
      ++r, ++at;
    } while (at < examples.size() && examples[at].joined);
  }
}

std::vector<int64_t> RowsOf(const StepBatch& step) {
  std::vector<int64_t> rows;
  for (const MicroBatch& micro : step.micro) {
    for (const Example* e : micro.rows) rows.push_back(e->row);
  }
  return rows;
}

// Batches by tokens: every row once an epoch, in the shuffled order, the steps counted beforehand.
TEST(BatchStream, BatchesByTokensHoldEveryRowOnce) {
  const std::vector<Example> rows = MakeRows(200);
  BatchOptions options = Options(/*packing=*/true, /*shuffle=*/true, /*epochs=*/2);
  options.batch_tokens = 150;
  options.accumulate = 1;
  BatchStream stream(rows, options);
  std::map<int64_t, int> seen;
  int64_t steps = 0, full = 0;
  while (const auto step = stream.Next()) {
    ++steps;
    EXPECT_LE(step->tokens, 150);
    full += step->tokens > 150 - 64;  // no row of the data is longer than 64
    for (const int64_t row : RowsOf(*step)) ++seen[row];
  }
  EXPECT_EQ(steps, stream.TotalSteps());
  EXPECT_GE(full, steps - 2);  // all but each epoch's last
  EXPECT_EQ(seen.size(), 200u);
  EXPECT_TRUE(std::ranges::all_of(seen, [](const auto& s) { return s.second == 2; }));
}

TEST(BatchStream, EveryRowOnceAnEpoch) {
  const std::vector<Example> rows = MakeRows(101);
  for (const bool packing : {false, true}) {
    for (const bool shuffle : {false, true}) {
      BatchStream stream(rows, Options(packing, shuffle, 3));
      std::vector<int64_t> seen;
      std::vector<int64_t> order;
      int64_t steps = 0;
      while (const auto step = stream.Next()) {
        ++steps;
        for (const int64_t row : RowsOf(*step)) seen.push_back(row);
        for (const MicroBatch& m : step->micro)
          order.insert(order.end(), m.order.begin(), m.order.end());
      }
      EXPECT_EQ(steps, stream.TotalSteps());
      EXPECT_FALSE(stream.Next());
      ASSERT_EQ(seen.size(), 303u);
      for (int epoch = 0; epoch < 3; ++epoch) {
        std::vector<int64_t> part(seen.begin() + 101 * epoch, seen.begin() + 101 * (epoch + 1));
        EXPECT_EQ(std::ranges::is_sorted(part), !packing && !shuffle);
        std::ranges::sort(part);
        EXPECT_TRUE(part == CountTo(101));
      }
      // The data order numbers each row of each epoch differently.
      std::ranges::sort(order);
      EXPECT_TRUE(order == CountTo(303));
    }
  }
}

TEST(BatchStream, NoModeCutsAGroup) {
  for (const std::vector<int64_t>& sizes : {std::vector<int64_t>{2}, {1, 3, 2}}) {
    const std::vector<Example> rows = MakeGroups(120, sizes);
    for (const BatchOptions& options : EveryMode(2)) {
      SCOPED_TRACE(::testing::Message() << sizes.size() << " " << options.packing << options.shuffle
                                        << " " << options.batch_tokens);
      BatchStream stream(rows, options);
      std::vector<int64_t> seen, order;
      int64_t steps = 0;
      while (const auto step = stream.Next()) {
        ++steps;
        for (const MicroBatch& micro : step->micro) {
          ExpectWholeGroups(rows, micro);
          for (const Example* e : micro.rows) seen.push_back(e->row);
          order.insert(order.end(), micro.order.begin(), micro.order.end());
          EXPECT_TRUE(options.batch_tokens == 0 || micro.tokens <= options.batch_tokens ||
                      GroupsOf(micro).size() == 1);
        }
      }
      EXPECT_EQ(steps, stream.TotalSteps());
      for (auto* all : {&seen, &order}) std::ranges::sort(*all);
      ASSERT_EQ(seen.size(), 240u);
      for (int64_t i = 0; i < 240; ++i) {
        EXPECT_EQ(seen[static_cast<size_t>(i)], i / 2);  // every row once an epoch
        EXPECT_EQ(order[static_cast<size_t>(i)], i);
      }
    }
  }
}

TEST(BatchStream, GroupsAreShuffledAndPackedWithOthers) {
  const std::vector<Example> rows = MakeGroups(120, {2});
  BatchOptions options = Options(/*packing=*/true, /*shuffle=*/true, /*epochs=*/1);
  BatchStream stream(rows, options);
  EXPECT_LT(stream.SequencesThisEpoch(), 60);
  int64_t in_order = 0, before = -1;
  while (const auto step = stream.Next()) {
    for (const int64_t row : RowsOf(*step)) {
      in_order += row == before + 1;
      before = row;
    }
  }
  EXPECT_LT(in_order, 70);  // the 60 that follow their chosen ones, and a few by chance
}

// Parts smaller than a group hold it whole.
TEST(CutMicroBatch, CutsBetweenGroupsAlone) {
  const std::vector<Example> rows = MakeGroups(120, {1, 3, 2});
  BatchOptions options = Options(/*packing=*/true, /*shuffle=*/true, /*epochs=*/1);
  BatchStream stream(rows, options);
  while (const auto step = stream.Next()) {
    for (const MicroBatch& micro : step->micro) {
      for (const int64_t tokens : {1, 70, 150, 100000}) {
        MicroBatch all;
        for (const MicroBatch& part : CutMicroBatch(micro, tokens)) {
          ExpectWholeGroups(rows, part);
          EXPECT_TRUE(part.tokens <= tokens || GroupsOf(part).size() == 1) << tokens;
          EXPECT_TRUE(tokens > 1 || GroupsOf(part).size() == 1) << "cut at every group";
          all.rows.insert(all.rows.end(), part.rows.begin(), part.rows.end());
          all.order.insert(all.order.end(), part.order.begin(), part.order.end());
          all.tokens += part.tokens, all.loss_tokens += part.loss_tokens;
        }
        EXPECT_EQ(all.rows, micro.rows);
        EXPECT_EQ(all.order, micro.order);
        EXPECT_EQ(all.tokens, micro.tokens);
        EXPECT_EQ(all.loss_tokens, micro.loss_tokens);
      }
    }
  }
}

TEST(BatchStream, ResumedWithGroupsItGoesOnAsItWould) {
  const std::vector<Example> rows = MakeGroups(36, {1, 3, 2});
  for (const BatchOptions& options : EveryMode(2)) {
    std::vector<BatchState> states;
    std::vector<std::vector<int64_t>> steps;
    BatchStream straight(rows, options);
    while (true) {
      states.push_back(straight.state());
      const auto step = straight.Next();
      if (!step) break;
      steps.push_back(RowsOf(*step));
    }
    for (size_t from = 0; from < states.size(); ++from) {
      BatchStream resumed(rows, options);
      resumed.Seek(states[from]);
      for (size_t i = from; i < steps.size(); ++i) {
        const auto step = resumed.Next();
        ASSERT_TRUE(step);
        EXPECT_EQ(RowsOf(*step), steps[i]) << from << " " << i;
        for (const MicroBatch& micro : step->micro) ExpectWholeGroups(rows, micro);
      }
      EXPECT_FALSE(resumed.Next());
    }
  }
}

TEST(BatchStream, OrderOfARowDoesNotDependOnPackingOrBatch) {
  const std::vector<Example> rows = MakeRows(50);
  const auto places = [&](BatchOptions options) {
    std::map<int64_t, int64_t> by_order;
    BatchStream stream(rows, options);
    while (const auto step = stream.Next()) {
      for (const MicroBatch& m : step->micro) {
        for (size_t i = 0; i < m.rows.size(); ++i) by_order[m.order[i]] = m.rows[i]->row;
      }
    }
    return by_order;
  };
  BatchOptions other = Options(false, true, 2);
  other.batch_rows = 7;
  EXPECT_EQ(places(Options(true, true, 2)), places(other));
}

TEST(BatchStream, CountsAreOfTheWholeStep) {
  const std::vector<Example> rows = MakeRows(101);
  BatchStream stream(rows, Options(true, true, 1));
  int64_t loss_tokens = 0, tokens = 0, sequences = 0;
  while (const auto step = stream.Next()) {
    int64_t step_loss = 0;
    for (const MicroBatch& m : step->micro) {
      int64_t micro_tokens = 0;
      for (const Example* e : m.rows) {
        micro_tokens += e->size();
        // Counted by hand: labels at 0, 3, 6 ...; the one at 0 is nobody's to predict.
        step_loss += (e->size() - 1) / 3;
      }
      EXPECT_EQ(micro_tokens, m.tokens);
      EXPECT_LE(m.tokens, 3 * 100);
      tokens += m.tokens;
      ++sequences;
    }
    EXPECT_EQ(step->loss_tokens, step_loss);
    loss_tokens += step_loss;
  }
  int64_t want = 0, want_tokens = 0;
  for (const Example& e : rows) {
    want += e.LossTokens();
    want_tokens += e.size();
  }
  EXPECT_EQ(loss_tokens, want);
  EXPECT_EQ(tokens, want_tokens);
}

TEST(BatchStream, ShuffleFollowsSeedAndEpoch) {
  const std::vector<Example> rows = MakeRows(60);
  const auto first = [&](uint64_t seed, int64_t skip) {
    BatchOptions options = Options(false, true, 0);
    options.batch_rows = 30;
    options.seed = seed;
    BatchStream stream(rows, options);
    for (; skip; --skip) stream.Next();
    return RowsOf(*stream.Next());
  };
  EXPECT_EQ(first(1, 0), first(1, 0));
  EXPECT_NE(first(1, 0), first(2, 0));
  EXPECT_NE(first(1, 0), first(1, 1));  // the next epoch's order
}

TEST(BatchStream, ResumedFromAnyStateItGoesOnAsItWould) {
  const std::vector<Example> rows = MakeRows(40);
  for (const bool packing : {false, true}) {
    for (const int64_t epochs : {0, 3}) {
      std::vector<BatchState> states;
      std::vector<std::vector<int64_t>> steps;
      BatchStream straight(rows, Options(packing, true, epochs));
      for (int i = 0; i < 25; ++i) {
        states.push_back(straight.state());
        const auto step = straight.Next();
        steps.push_back(step ? RowsOf(*step) : std::vector<int64_t>{});
      }
      for (size_t from = 0; from < states.size(); ++from) {
        BatchStream resumed(rows, Options(packing, true, epochs));
        resumed.Seek(states[from]);
        for (size_t i = from; i < steps.size(); ++i) {
          const auto step = resumed.Next();
          EXPECT_EQ(step ? RowsOf(*step) : std::vector<int64_t>{}, steps[i]) << from << " " << i;
        }
      }
    }
  }
}

// 20 rows of one source and 10 of another, in epochs.
BatchOptions Weighted(double first, double second, bool shuffle, int64_t epochs) {
  BatchOptions options = Options(false, shuffle, epochs);
  options.batch_rows = options.accumulate = 1;
  options.sources.assign(30, 0);
  std::fill(options.sources.begin() + 20, options.sources.end(), 1);
  options.weights = {first, second};
  return options;
}

// How often each row was drawn in each epoch.
std::vector<std::map<int64_t, int>> DrawsOf(const BatchOptions& options) {
  const std::vector<Example> rows = MakeRows(30);
  BatchStream stream(rows, options);
  std::vector<std::map<int64_t, int>> out;
  for (;;) {
    const auto epoch = static_cast<size_t>(stream.state().epoch);
    const auto step = stream.Next();
    if (!step) return out;
    if (out.size() <= epoch) out.emplace_back();
    for (const int64_t row : RowsOf(*step)) ++out.back()[row];
  }
}

TEST(BatchStream, WeightsAreRelative) {
  for (const bool shuffle : {false, true}) {
    const auto draws = DrawsOf(Weighted(0.7, 0.3, shuffle, 10));
    EXPECT_EQ(DrawsOf(Weighted(70, 30, shuffle, 10)), draws);
    ASSERT_EQ(draws.size(), 10u);
    std::map<int64_t, int> all;
    for (const auto& epoch : draws) {
      int count = 0;
      for (const auto& [row, times] : epoch) count += times, all[row] += times;
      EXPECT_NEAR(count, 30, 1);
    }
    double first = 0, second = 0;
    for (int64_t row = 0; row < 30; ++row) (row < 20 ? first : second) += all[row];
    EXPECT_NEAR(first / 20 / (second / 10), 0.7 / 0.3, 0.1);
    // No row is left out for ever, and none is drawn again before all of its source were.
    for (int64_t row = 0; row < 30; ++row) {
      EXPECT_NEAR(all[row], row < 20 ? first / 20 : second / 10, 1) << row;
    }
    EXPECT_EQ(draws[0].size() < 30, true);  // the second source's rows do not fit into one epoch
  }
}

TEST(BatchStream, EqualWeightsChangeNothing) {
  BatchOptions plain = Weighted(3, 3, true, 3), none = plain;
  none.sources.clear(), none.weights.clear();
  EXPECT_EQ(DrawsOf(plain), DrawsOf(none));
}

// A row that is drawn twice in an epoch gets its own random numbers each time.
TEST(BatchStream, NoTwoDrawsShareAnIndex) {
  const std::vector<Example> rows = MakeRows(30);
  for (const bool packing : {false, true}) {
    BatchOptions options = Weighted(9, 1, true, 4);
    options.packing = packing;
    BatchStream stream(rows, options);
    std::map<int64_t, int> seen;
    int64_t steps = 0;
    for (; const auto step = stream.Next(); ++steps) {
      for (const MicroBatch& micro : step->micro) {
        for (const int64_t index : micro.order) EXPECT_EQ(seen[index]++, 0);
      }
    }
    EXPECT_EQ(steps, stream.TotalSteps());
    EXPECT_NEAR(static_cast<double>(seen.size()), 120, 2);
  }
}

TEST(BatchStream, WithWeightsItResumesFromAnyState) {
  const std::vector<Example> rows = MakeRows(30);
  const BatchOptions options = Weighted(5, 2, true, 4);
  std::vector<BatchState> states;
  std::vector<std::vector<int64_t>> steps;
  BatchStream straight(rows, options);
  for (;;) {
    states.push_back(straight.state());
    const auto step = straight.Next();
    if (!step) break;
    steps.push_back(RowsOf(*step));
  }
  for (size_t from = 0; from < steps.size(); from += 7) {
    BatchStream resumed(rows, options);
    resumed.Seek(states[from]);
    for (size_t i = from; i < steps.size(); ++i) EXPECT_EQ(RowsOf(*resumed.Next()), steps[i]);
  }
}

TEST(BatchStream, StatesOfOtherDataAreRefused) {
  const std::vector<Example> rows = MakeRows(10);
  BatchStream stream(rows, Options(false, true, 2));
  EXPECT_EQ(InputFault([&] {
              stream.Seek({0, 10});
            }),
            "epoch 0 of the data has 10 sequences, not a place 10; was the data changed?");
  EXPECT_EQ(InputFault([&] {
              stream.Seek({2, 1});
            }),
            "the data has no epoch 2; was the recipe changed?");
  EXPECT_EQ(InputFault([&] {
              stream.Seek({-1, 0});
            }),
            "the data has no epoch -1; was the recipe changed?");
  stream.Seek({2, 0});
  EXPECT_FALSE(stream.Next());
}

TEST(BatchStream, StepsStraddleEpochsOnlyWhereEndless) {
  const std::vector<Example> rows = MakeRows(10);
  BatchStream endless(rows, Options(false, false, 0));
  EXPECT_EQ(endless.TotalSteps(), 0);
  EXPECT_DOUBLE_EQ(endless.Next()->epoch, 0.6);
  EXPECT_EQ(RowsOf(*endless.Next()), (std::vector<int64_t>{6, 7, 8, 9, 0, 1}));
  BatchStream once(rows, Options(false, false, 1));
  EXPECT_EQ(once.TotalSteps(), 2);
  once.Next();
  const auto last = once.Next();
  EXPECT_EQ(RowsOf(*last), (std::vector<int64_t>{6, 7, 8, 9}));
  EXPECT_DOUBLE_EQ(last->epoch, 1.0);
  EXPECT_EQ(last->micro.size(), 2u);
}

}  // namespace
}  // namespace retort
