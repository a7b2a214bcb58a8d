// SPDX-License-Identifier: Apache-2.0
// The paged key/value cache: pages of kPageTokens tokens, each usable by any stream, and by several
// whose prompts begin alike. All of it is allocated from the backend's counted memory in the
// constructor.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/batch.h"
#include "runner/engine/prefix_tree.h"

namespace retort {

// The pages of one stream. Token p is stored in pages[p / kPageTokens].
struct PageTable {
  // adapter: the number of the one that the tokens are read with (Adapter::number); 0: none.
  explicit PageTable(int32_t adapter) : root(PrefixTree::RootOf(adapter)) {}
  PageTable() : PageTable(0) {}

  std::vector<int32_t> pages;
  // The first `shared` of them belong to the tree of prefixes, up to its node `prefix`. Nobody
  // writes to those.
  int64_t shared = 0;
  int32_t root;
  int32_t prefix = root;

  int64_t capacity() const { return static_cast<int64_t>(pages.size()) * kPageTokens; }
  // The cache row of token p, with p < capacity().
  int32_t RowOf(int64_t p) const {
    return pages[static_cast<size_t>(p / kPageTokens)] * static_cast<int32_t>(kPageTokens) +
           static_cast<int32_t>(p % kPageTokens);
  }
};

// A fixed number of pages. Not thread-safe. Tables need not be released before the cache is
// destroyed.
class KvCache {
 public:
  // Allocates at least `tokens` tokens in each layer's planes (Model::planes). type: f16, bf16, or
  // f32 for the backend's activation type. kept: of prefixes that no stream uses, at most so many
  // tokens are kept for later ones; the one used longest ago goes first. Below 0: all.
  KvCache(Backend& backend, const std::vector<std::vector<CachePlane>>& layers, DType type,
          int64_t tokens, int64_t kept = -1);

  static int64_t PagesFor(int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }
  int64_t pages() const { return pages_; }
  // Those that no table has, kept prefixes among them: these are given up when pages are needed.
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()) + idle_; }
  int64_t bytes() const;

  // Adds pages until the table has room for `tokens` tokens. False, and nothing is added, if there
  // are not enough free pages.
  bool Extend(PageTable& table, int64_t tokens);
  void Release(PageTable& table);
  // Gives back the table's own pages behind its first `tokens` tokens.
  void Shrink(PageTable& table, int64_t tokens);
  // How many pages would be free if these tables were released.
  int64_t FreeWithout(std::span<const PageTable* const> tables) const;

  bool keeps_prefixes() const { return kept_ > 0; }
  // What a prompt that begins with `tokens` can take from the tree: adds whole pages of it to a
  // table whose pages are all shared. Returns how many tokens those have.
  int64_t Adopt(PageTable& table, std::span<const int32_t> tokens);
  // What Adopt would add.
  struct Match {
    int64_t pages = 0, in_use = 0;     // in_use: those of them that are not free
    int32_t node = PrefixTree::kRoot;  // of the tree, the last of them
  };
  Match MatchOf(const PageTable& table, std::span<const int32_t> tokens) const;
  // The table's tokens begin with `tokens`, and are read: its whole pages go into the tree. Where
  // the tree has them already, the table takes the tree's, and its own become free.
  void Share(PageTable& table, std::span<const int32_t> tokens);
  // Gives up all kept prefixes: the model has changed. Requires that no table has pages.
  void ForgetPrefixes();

  // The decoder's view of the cache. The code that builds the batch sets its `rows`.
  CacheView& view() { return view_; }

 private:
  int32_t TakePage();
  // shared: the page belongs to the tree.
  void Use(int32_t page, bool shared);
  void Drop(int32_t page, bool shared);
  void KeepAtMost(int64_t idle);
  int32_t Next(int32_t node, int64_t page, std::span<const int32_t> tokens) const;

  int64_t pages_, kept_;
  std::vector<int32_t> free_;   // a stack: the last page is taken first
  std::vector<int32_t> users_;  // [pages] tables that have it
  PrefixTree tree_;
  int64_t idle_ = 0;  // pages of the tree that no table has
  CacheView view_;
};

}  // namespace retort
