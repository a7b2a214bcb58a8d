// SPDX-License-Identifier: Apache-2.0
// Keys and values of what the model has read, in pages of kPageTokens tokens that any stream may
// hold. All memory is taken from the backend's counted memory when the cache is made.
#pragma once

#include <cstdint>
#include <vector>

#include "model/batch.h"

namespace retort {

constexpr int64_t kPageTokens = 32;

// What lies in one stream's pages, in the order of its tokens: token p is in pages[p /
// kPageTokens].
struct PageTable {
  std::vector<int32_t> pages;

  int64_t capacity() const { return static_cast<int64_t>(pages.size()) * kPageTokens; }
  // The cache row of token p. p < capacity().
  int32_t RowOf(int64_t p) const {
    return pages[static_cast<size_t>(p / kPageTokens)] * static_cast<int32_t>(kPageTokens) +
           static_cast<int32_t>(p % kPageTokens);
  }
};

// A fixed number of pages. Not thread-safe. Tables that were not given back are simply forgotten
// with the cache.
class KvCache {
 public:
  // Room for at least `tokens` tokens in each layer's planes (Model::planes). type: f32 (which
  // means the backend's activation type), f16 or bf16.
  KvCache(Backend& backend, const std::vector<std::vector<CachePlane>>& layers, DType type,
          int64_t tokens);

  static int64_t PagesFor(int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }
  int64_t pages() const { return pages_; }
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }
  int64_t bytes() const;

  // Pages for `tokens` tokens, or an empty table when there are not enough.
  PageTable Allocate(int64_t tokens);
  void Release(PageTable& table);

  // The decoder's view of the cache; `rows` is left to whoever lays the batch.
  CacheView& view() { return view_; }

 private:
  int64_t pages_;
  std::vector<int32_t> free_;  // the last is the next to be taken
  CacheView view_;
};

}  // namespace retort
