// SPDX-License-Identifier: Apache-2.0
#include "runner/kv_cache.h"

#include <limits>

namespace retort {

KvCache::KvCache(Backend& backend, const std::vector<std::vector<CachePlane>>& layers, DType type,
                 int64_t tokens)
    : pages_(PagesFor(tokens)) {
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
  table.pages.insert(table.pages.end(), free_.rbegin(), free_.rbegin() + count);
  free_.resize(free_.size() - static_cast<size_t>(count));
  return true;
}

void KvCache::Release(PageTable& table) {
  free_.insert(free_.end(), table.pages.rbegin(), table.pages.rend());
  table.pages.clear();
  RETORT_CHECK(free_pages() <= pages_, "pages given back twice");
}

}  // namespace retort
