// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/prefix_tree.h"

#include <gtest/gtest.h>

#include <set>

namespace retort {
namespace {

std::vector<int32_t> Page(int32_t token) {
  return std::vector<int32_t>(static_cast<size_t>(kPageTokens), token);
}

TEST(PrefixTree, APageIsKnownByAllThatStandsBeforeIt) {
  PrefixTree tree;
  const int32_t a = tree.Add(PrefixTree::kRoot, Page(1), 10);
  const int32_t b = tree.Add(a, Page(2), 11);
  EXPECT_EQ(tree.Find(PrefixTree::kRoot, Page(1)), a);
  EXPECT_EQ(tree.Find(a, Page(2)), b);
  EXPECT_EQ(tree.Find(PrefixTree::kRoot, Page(2)), PrefixTree::kNone);
  EXPECT_EQ(tree.Find(b, Page(2)), PrefixTree::kNone);
  std::vector<int32_t> almost = Page(2);
  almost.back() = 3;
  EXPECT_EQ(tree.Find(a, almost), PrefixTree::kNone);
  EXPECT_EQ(tree.Add(a, Page(2), 12), b);  // it stays what it was
  EXPECT_EQ(tree.PageOf(b), 11);
}

TEST(PrefixTree, EachAdapterHasARoot) {
  PrefixTree tree;
  const int32_t other = PrefixTree::RootOf(1);
  EXPECT_NE(other, PrefixTree::kRoot);
  const int32_t a = tree.Add(PrefixTree::kRoot, Page(1), 10);
  EXPECT_EQ(tree.Find(other, Page(1)), PrefixTree::kNone);
  const int32_t b = tree.Add(other, Page(1), 11);
  EXPECT_NE(a, b);
  tree.Touch(b);
  tree.Touch(other);  // a text without a page
  EXPECT_EQ(tree.RemoveOldest([](int32_t) { return false; }), 10);
  EXPECT_EQ(tree.Find(other, Page(1)), b);
}

TEST(PrefixTree, LeavesGoInTheOrderOfTheirLastUse) {
  PrefixTree tree;
  const int32_t a = tree.Add(PrefixTree::kRoot, Page(1), 10);
  const int32_t b = tree.Add(a, Page(2), 11);
  tree.Add(a, Page(3), 12);
  tree.Add(PrefixTree::kRoot, Page(4), 13);
  tree.Touch(b);
  std::set<int32_t> used = {12};
  const auto in_use = [&](int32_t page) { return used.contains(page); };
  EXPECT_EQ(tree.RemoveOldest(in_use), 13);  // 12 is older, but in use
  used.clear();
  EXPECT_EQ(tree.RemoveOldest(in_use), 12);
  EXPECT_EQ(tree.RemoveOldest(in_use), 11);  // before the page that it follows
  EXPECT_EQ(tree.RemoveOldest(in_use), 10);
  EXPECT_EQ(tree.Find(PrefixTree::kRoot, Page(1)), PrefixTree::kNone);
  EXPECT_EQ(tree.PageOf(tree.Add(PrefixTree::kRoot, Page(1), 5)), 5);
}

}  // namespace
}  // namespace retort
