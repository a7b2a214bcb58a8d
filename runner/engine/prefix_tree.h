// SPDX-License-Identifier: Apache-2.0
// Which pages of the cache hold the beginnings of prompts, so that a later prompt that begins in
// the same way need not be read again.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace retort {

constexpr int64_t kPageTokens = 32;

// A radix tree over whole pages: a node is a page, and its path from the root the tokens that were
// read before and in it. A page's keys and values depend on nothing else. Knows nothing of who uses
// a page. Finding a page takes the logarithm of their number, whatever its tokens are.
class PrefixTree {
 public:
  static constexpr int32_t kRoot = -1, kNone = std::numeric_limits<int32_t>::min();
  // Before the first page of a text. Texts that are read with different adapters (their numbers, 0:
  // none) have no page in common: each adapter has a root.
  static constexpr int32_t RootOf(int32_t adapter) { return kRoot - adapter; }
  using Tokens = std::span<const int32_t>;  // kPageTokens of them

  // The node behind `parent` with these tokens, or kNone.
  int32_t Find(int32_t parent, Tokens tokens) const;
  // The node behind `parent` with these tokens; made of `page` if there was none.
  int32_t Add(int32_t parent, Tokens tokens, int32_t page);
  int32_t PageOf(int32_t node) const { return nodes_[static_cast<size_t>(node)].page; }
  // The node and those above it were used just now.
  void Touch(int32_t node);
  // Removes the node without children that was used longest ago, of those whose page is not in use,
  // and returns its page. Requires that there is one.
  int32_t RemoveOldest(const std::function<bool(int32_t page)>& in_use);

 private:
  using Key = std::pair<int32_t, std::array<int32_t, kPageTokens>>;  // the parent, and the tokens
  struct Node {
    const Key* key = nullptr;  // null: free
    int32_t page = -1;
    int64_t children = 0;
    uint64_t used = 0;
  };

  static bool IsPage(int32_t node) { return node >= 0; }
  static Key KeyOf(int32_t parent, Tokens tokens);

  std::map<Key, int32_t> index_;
  std::vector<Node> nodes_;
  std::vector<int32_t> free_;  // nodes
  uint64_t clock_ = 0;
};

}  // namespace retort
