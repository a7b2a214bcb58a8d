// SPDX-License-Identifier: Apache-2.0
#include "compress/format_mix.h"

#include <gtest/gtest.h>

#include "tests/formats/support.h"

namespace retort {
namespace {

// Choices by (bytes, kl).
MixItem Item(const std::vector<std::pair<int64_t, double>>& choices) {
  MixItem item{"t", {}};
  for (const auto& [bytes, kl] : choices) item.choices.push_back({WeightFormat::kQ4_0, bytes, kl});
  return item;
}

struct Total {
  int64_t bytes = 0;
  double kl = 0;
};
Total TotalOf(const std::vector<MixItem>& items, const std::vector<size_t>& chosen) {
  Total total;
  for (size_t i = 0; i < items.size(); ++i) {
    total.bytes += items[i].choices[chosen[i]].bytes;
    total.kl += items[i].choices[chosen[i]].kl;
  }
  return total;
}

// Not in the order of their bytes. The second item's choice of 30 bytes is above its hull, its
// choice of 60 is worse than a smaller one.
const std::vector<MixItem> kItems = {Item({{40, 1}, {10, 16}, {20, 4}}),
                                     Item({{10, 8}, {30, 7.5}, {40, 2}, {60, 3}}),
                                     Item({{10, 1}, {20, 0.9}})};

TEST(FormatMix, SpendsBytesWhereTheyHelpMost) {
  const auto chosen = [](int64_t bytes) { return ChooseFormats(kItems, {.bytes = bytes}); };
  EXPECT_EQ(chosen(30), (std::vector<size_t>{1, 0, 0}));
  EXPECT_EQ(chosen(40), (std::vector<size_t>{2, 0, 0}));
  EXPECT_EQ(chosen(69), (std::vector<size_t>{0, 0, 0}));  // the next step in order has no room
  EXPECT_EQ(chosen(70), (std::vector<size_t>{2, 2, 0}));
  EXPECT_EQ(chosen(1000), (std::vector<size_t>{0, 2, 1}));
  ExpectRefused([&] { chosen(29); }, {"30 bytes", "room for 29", "--size"});
}

TEST(FormatMix, IsTheSmallestOfAKl) {
  for (const double kl : {20.0, 13.0, 7.0, 4.0, 3.9}) {
    const Total total = TotalOf(kItems, ChooseFormats(kItems, {.kl = kl}));
    EXPECT_LE(total.kl, kl);
    // No mix on the hulls that is as good has less.
    for (size_t a : {1, 2, 0}) {
      for (size_t b : {0, 2}) {
        for (size_t c : {0, 1}) {
          const Total other = TotalOf(kItems, {a, b, c});
          if (other.kl <= kl) {
            EXPECT_LE(total.bytes, other.bytes) << kl;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace retort
