// SPDX-License-Identifier: Apache-2.0
// The paged key/value cache: pages of kPageTokens tokens, each usable by any stream. All of it is
// allocated from the backend's counted memory in the constructor.
#pragma once

#include <cstdint>
#include <vector>

#include "model/batch.h"

namespace retort {

constexpr int64_t kPageTokens = 32;

// The pages of one stream. Token p is stored in pages[p / kPageTokens].
struct PageTable {
  std::vector<int32_t> pages;

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
  // f32 for the backend's activation type.
  KvCache(Backend& backend, const std::vector<std::vector<CachePlane>>& layers, DType type,
          int64_t tokens);

  static int64_t PagesFor(int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }
  int64_t pages() const { return pages_; }
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }
  int64_t bytes() const;

  // Adds pages until the table has room for `tokens` tokens. False, and nothing is added, if there
  // are not enough free pages.
  bool Extend(PageTable& table, int64_t tokens);
  void Release(PageTable& table);

  // The decoder's view of the cache. The code that builds the batch sets its `rows`.
  CacheView& view() { return view_; }

 private:
  int64_t pages_;
  std::vector<int32_t> free_;  // a stack: the last page is taken first
  CacheView view_;
};

}  // namespace retort
