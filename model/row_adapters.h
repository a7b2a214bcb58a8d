// SPDX-License-Identifier: Apache-2.0
// Which adapter each row of a pass has: one has them all, or several have rows of their own, so
// that the streams of a runner share one product with the base's weights.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"

namespace retort {

class Adapter;

// Consecutive rows; a null adapter: the base alone.
struct AdapterRows {
  const Adapter* adapter;
  int64_t first, count;
};

// Borrowed, as what it is made of.
class RowAdapters {
 public:
  RowAdapters() = default;
  RowAdapters(const Adapter* one) : one_(one) {}  // NOLINT(google-explicit-constructor)
  // Every row is in one range, in their order. One range is as one adapter for all.
  explicit RowAdapters(std::span<const AdapterRows> ranges)
      : one_(ranges.size() == 1 ? ranges[0].adapter : nullptr),
        ranges_(ranges.size() > 1 ? ranges : std::span<const AdapterRows>()) {}

  bool mixed() const { return !ranges_.empty(); }
  // Of all rows; null: none. Requires that they are not mixed.
  const Adapter* one() const {
    RETORT_CHECK(!mixed(), "rows of ", ranges_.size(), " adapters");
    return one_;
  }
  std::span<const AdapterRows> ranges() const { return ranges_; }  // empty unless mixed
  // Whether it is so of any adapter.
  template <class Is>
  bool Any(const Is& is) const {
    if (!mixed()) return one_ && is(*one_);
    return std::ranges::any_of(
        ranges_, [&](const AdapterRows& range) { return range.adapter && is(*range.adapter); });
  }
  // The adapters of the rows with these numbers, which ascend. `ranges` holds them.
  RowAdapters Of(std::span<const int32_t> rows, std::vector<AdapterRows>& ranges) const {
    if (!mixed()) return *this;
    ranges.clear();
    auto at = rows.begin();
    for (const AdapterRows& range : ranges_) {
      const auto end = std::lower_bound(at, rows.end(), range.first + range.count);
      if (end != at) ranges.push_back({range.adapter, at - rows.begin(), end - at});
      at = end;
    }
    RETORT_CHECK(at == rows.end(), "a row beyond those of the adapters");
    return RowAdapters(ranges);
  }

 private:
  const Adapter* one_ = nullptr;
  std::span<const AdapterRows> ranges_;
};

}  // namespace retort
