// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/kv_cache.h"

#include <algorithm>
#include <limits>

namespace retort {

KvCache::KvCache(Backend& backend, const std::vector<std::vector<CachePlane>>& layers, DType type,
                 int64_t tokens, int64_t kept)
    : pages_(PagesFor(tokens)),
      kept_(kept < 0 ? pages_ : kept / kPageTokens),
      users_(static_cast<size_t>(pages_), 0) {
  RETORT_CHECK(type == DType::kF32 || type == DType::kF16 || type == DType::kBF16, "cache of ",
               NameOf(type));
  const int64_t rows = pages_ * kPageTokens;
  RETORT_CHECK(tokens > 0 && rows <= std::numeric_limits<int32_t>::max(), "cache of ", tokens,
               " tokens");
  const DType stored = type == DType::kF32 ? backend.activation_type() : type;
  for (const std::vector<CachePlane>& layer : layers) {
    std::vector<Tensor>& planes = view_.planes.emplace_back();
    for (const CachePlane& plane : layer)
      planes.push_back(backend.New({pages_, plane.heads, kPageTokens, plane.dim}, stored));
  }
  for (int64_t page = pages_ - 1; page >= 0; --page) free_.push_back(static_cast<int32_t>(page));
}

int64_t KvCache::bytes() const {
  int64_t sum = 0;
  for (const std::vector<Tensor>& planes : view_.planes) {
    for (const Tensor& plane : planes) sum += plane.bytes();
  }
  return sum;
}

bool KvCache::Extend(PageTable& table, int64_t tokens) {
  const int64_t count = PagesFor(tokens) - std::ssize(table.pages);
  if (count <= 0) return true;
  if (count > free_pages()) return false;
  for (int64_t i = 0; i < count; ++i) {
    table.pages.push_back(TakePage());
    Use(table.pages.back(), false);
  }
  return true;
}

void KvCache::Release(PageTable& table) {
  tree_.Touch(table.prefix);
  for (int64_t i = std::ssize(table.pages) - 1; i >= 0; --i)
    Drop(table.pages[static_cast<size_t>(i)], i < table.shared);
  table.pages.clear();
  table.shared = 0;
  table.prefix = table.root;
  KeepAtMost(kept_);
  RETORT_CHECK(free_pages() <= pages_, "pages given back twice");
}

void KvCache::Shrink(PageTable& table, int64_t tokens) {
  const int64_t kept = std::max(PagesFor(tokens), table.shared);
  for (; std::ssize(table.pages) > kept; table.pages.pop_back()) Drop(table.pages.back(), false);
}

int64_t KvCache::FreeWithout(std::span<const PageTable* const> tables) const {
  int64_t count = free_pages();
  std::vector<int32_t> users = users_;
  for (const PageTable* table : tables) {
    for (const int32_t page : table->pages) count += --users[static_cast<size_t>(page)] == 0;
  }
  return count;
}

int64_t KvCache::Adopt(PageTable& table, std::span<const int32_t> tokens) {
  RETORT_CHECK(std::ssize(table.pages) == table.shared, "adopting behind pages of its own");
  const int64_t before = table.shared;
  for (int32_t node; (node = Next(table.prefix, table.shared, tokens)) >= 0;) {
    table.prefix = node;
    table.pages.push_back(tree_.PageOf(node));
    Use(table.pages.back(), true);
    ++table.shared;
  }
  return (table.shared - before) * kPageTokens;
}

KvCache::Match KvCache::MatchOf(const PageTable& table, std::span<const int32_t> tokens) const {
  Match match{.node = table.prefix};
  for (int32_t next; (next = Next(match.node, table.shared + match.pages, tokens)) >= 0;) {
    match.node = next;
    ++match.pages;
    match.in_use += users_[static_cast<size_t>(tree_.PageOf(next))] > 0;
  }
  return match;
}

void KvCache::Share(PageTable& table, std::span<const int32_t> tokens) {
  if (kept_ == 0) return;
  for (; (table.shared + 1) * kPageTokens <= std::ssize(tokens); ++table.shared) {
    int32_t& own = table.pages[static_cast<size_t>(table.shared)];
    const auto page = tokens.subspan(static_cast<size_t>(table.shared * kPageTokens), kPageTokens);
    table.prefix = tree_.Add(table.prefix, page, own);
    const int32_t shared = tree_.PageOf(table.prefix);
    if (shared == own) continue;
    Drop(own, false);
    own = shared;
    Use(own, true);
  }
}

void KvCache::ForgetPrefixes() { KeepAtMost(0); }

// The node behind `node` that has the tokens' page `page`, if they have it whole.
int32_t KvCache::Next(int32_t node, int64_t page, std::span<const int32_t> tokens) const {
  if ((page + 1) * kPageTokens > std::ssize(tokens)) return PrefixTree::kNone;
  return tree_.Find(node, tokens.subspan(static_cast<size_t>(page * kPageTokens), kPageTokens));
}

int32_t KvCache::TakePage() {
  if (free_.empty()) KeepAtMost(idle_ - 1);
  const int32_t page = free_.back();
  free_.pop_back();
  return page;
}

void KvCache::Use(int32_t page, bool shared) {
  if (users_[static_cast<size_t>(page)]++ == 0 && shared) --idle_;
}

void KvCache::Drop(int32_t page, bool shared) {
  if (--users_[static_cast<size_t>(page)] > 0) return;
  if (shared)
    ++idle_;
  else
    free_.push_back(page);
}

void KvCache::KeepAtMost(int64_t idle) {
  for (; idle_ > idle; --idle_) {
    free_.push_back(
        tree_.RemoveOldest([this](int32_t page) { return users_[static_cast<size_t>(page)] > 0; }));
  }
}

}  // namespace retort
