// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

const std::vector<ProgressItem> kItems = {
    {"epoch 0.21", 5}, {"loss 1.2345", 0}, {"held-out 0.9800", 2}, {"lr 9.60e-04", 6},
    {"350 tok/s", 3},  {"23:16 left", 1},  {"596 MiB", 4}};

std::string Line(int width) { return ProgressLine("train", 291, 1164, kItems, width); }

// Of UTF-8 whose characters are one column wide.
int64_t Columns(const std::string& text) {
  return std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; });
}

TEST(ProgressLine, FitsAnyWidth) {
  for (int width = 1; width < 200; ++width) EXPECT_LE(Columns(Line(width)), width) << width;
}

TEST(ProgressLine, KeepsWhatMattersMost) {
  EXPECT_EQ(Line(140),
            "train ▕██████                  ▏ 291/1164  epoch 0.21  loss 1.2345  held-out 0.9800  "
            "lr 9.60e-04  350 tok/s  23:16 left  596 MiB");
  EXPECT_EQ(Line(80),
            "train ▕██▌       ▏ 291/1164  loss 1.2345  held-out 0.9800  350 tok/s  23:16 left");
  EXPECT_EQ(Line(60), "train ▕████▌             ▏ 291/1164  loss 1.2345  23:16 left");
  EXPECT_EQ(Line(30), "train 291/1164  loss 1.2345");
  EXPECT_EQ(Line(10), "train 291/");
}

TEST(ProgressLine, TheBarIsDrawnInEighths) {
  EXPECT_EQ(ProgressLine("x", 0, 8, {}, 20), "x ▕            ▏ 0/8");
  EXPECT_EQ(ProgressLine("x", 8, 8, {}, 20), "x ▕████████████▏ 8/8");
  EXPECT_EQ(ProgressLine("x", 1, 0, {}, 20), "x ▕            ▏ 1/0");
}

TEST(Wrapped, BreaksAtSpaces) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(Wrapped("steps    ten of four", 40, 9), (Lines{"steps    ten of four"}));
  EXPECT_EQ(Wrapped("steps    ten of four rows", 20, 9),
            (Lines{"steps    ten of four", "         rows"}));
  EXPECT_EQ(Wrapped("steps    ten of four rows", 19, 9),
            (Lines{"steps    ten of", "         four rows"}));
  // A word that is longer than a line is cut.
  EXPECT_EQ(Wrapped("a 0123456789", 6, 1), (Lines{"a 0123", " 45678", " 9"}));
  EXPECT_EQ(Wrapped("ééé ééé", 4, 0), (Lines{"ééé", "ééé"}));
  EXPECT_EQ(Wrapped("", 10, 2), (Lines{""}));
}

}  // namespace
}  // namespace retort
