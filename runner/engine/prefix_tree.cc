// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/prefix_tree.h"

#include <algorithm>

#include "base/error.h"

namespace retort {

PrefixTree::Key PrefixTree::KeyOf(int32_t parent, Tokens tokens) {
  RETORT_CHECK(std::ssize(tokens) == kPageTokens, "a page of ", tokens.size(), " tokens");
  Key key{parent, {}};
  std::ranges::copy(tokens, key.second.begin());
  return key;
}

int32_t PrefixTree::Find(int32_t parent, Tokens tokens) const {
  const auto at = index_.find(KeyOf(parent, tokens));
  return at == index_.end() ? kNone : at->second;
}

int32_t PrefixTree::Add(int32_t parent, Tokens tokens, int32_t page) {
  const auto [at, added] = index_.try_emplace(KeyOf(parent, tokens), kNone);
  if (!added) return at->second;
  if (free_.empty()) {
    free_.push_back(static_cast<int32_t>(nodes_.size()));
    nodes_.emplace_back();
  }
  const int32_t node = at->second = free_.back();
  free_.pop_back();
  nodes_[static_cast<size_t>(node)] = {&at->first, page, 0, ++clock_};
  if (IsPage(parent)) ++nodes_[static_cast<size_t>(parent)].children;
  return node;
}

void PrefixTree::Touch(int32_t node) {
  ++clock_;
  while (IsPage(node)) {
    Node& n = nodes_[static_cast<size_t>(node)];
    n.used = clock_;
    node = n.key->first;
  }
}

int32_t PrefixTree::RemoveOldest(const std::function<bool(int32_t page)>& in_use) {
  Node* oldest = nullptr;
  for (Node& n : nodes_) {
    if (n.key && n.children == 0 && (!oldest || n.used < oldest->used) && !in_use(n.page))
      oldest = &n;
  }
  RETORT_CHECK(oldest, "no page is idle");
  const int32_t page = oldest->page, parent = oldest->key->first;
  if (IsPage(parent)) --nodes_[static_cast<size_t>(parent)].children;
  const auto at = index_.find(*oldest->key);
  free_.push_back(at->second);
  *oldest = {};
  index_.erase(at);
  return page;
}

}  // namespace retort
