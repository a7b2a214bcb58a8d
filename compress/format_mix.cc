// SPDX-License-Identifier: Apache-2.0
#include "compress/format_mix.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace retort {
namespace {

double Slope(const FormatChoice& from, const FormatChoice& to) {
  return (from.kl - to.kl) / static_cast<double>(to.bytes - from.bytes);
}

// Indices of the choices on the lower convex hull of (bytes, kl), from the smallest on.
std::vector<size_t> Hull(const std::vector<FormatChoice>& choices) {
  std::vector<size_t> order(choices.size()), hull;
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) {
    return std::pair(choices[a].bytes, choices[a].kl) < std::pair(choices[b].bytes, choices[b].kl);
  });
  for (const size_t i : order) {
    if (!hull.empty() && choices[i].kl >= choices[hull.back()].kl) continue;
    const auto bends_up = [&] {
      const FormatChoice& before = choices[hull[hull.size() - 2]];
      return Slope(before, choices[i]) >= Slope(before, choices[hull.back()]);
    };
    while (hull.size() > 1 && bends_up()) hull.pop_back();
    hull.push_back(i);
  }
  return hull;
}

}  // namespace

std::vector<size_t> ChooseFormats(const std::vector<MixItem>& items, const MixLimit& limit) {
  std::vector<std::vector<size_t>> hulls;
  hulls.reserve(items.size());
  int64_t bytes = 0;
  double kl = 0;
  for (const MixItem& item : items) {
    hulls.push_back(Hull(item.choices));
    bytes += item.choices[hulls.back().front()].bytes;
    kl += item.choices[hulls.back().front()].kl;
  }
  if (bytes > limit.bytes)
    throw InputError("the smallest mix of formats has ", bytes,
                     " bytes of weights, and there is "
                     "room for ",
                     limit.bytes, "; allow a larger --size");
  std::vector<size_t> at(items.size());  // places in the hulls
  while (kl > limit.kl) {
    size_t best = items.size();
    double best_slope = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      if (at[i] + 1 == hulls[i].size()) continue;
      const FormatChoice& from = items[i].choices[hulls[i][at[i]]];
      const FormatChoice& to = items[i].choices[hulls[i][at[i] + 1]];
      if (bytes + to.bytes - from.bytes > limit.bytes || Slope(from, to) <= best_slope) continue;
      best = i;
      best_slope = Slope(from, to);
    }
    if (best == items.size()) break;
    const FormatChoice& from = items[best].choices[hulls[best][at[best]]];
    const FormatChoice& to = items[best].choices[hulls[best][++at[best]]];
    bytes += to.bytes - from.bytes;
    kl += to.kl - from.kl;
  }
  std::vector<size_t> chosen;
  chosen.reserve(items.size());
  for (size_t i = 0; i < items.size(); ++i) chosen.push_back(hulls[i][at[i]]);
  return chosen;
}

}  // namespace retort
