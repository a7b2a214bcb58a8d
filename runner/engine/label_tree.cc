// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/label_tree.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace retort {
namespace {

// The length of the common prefix, not counting the last token of either.
size_t SharedNodes(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  size_t n = 0;
  while (n + 1 < a.size() && n + 1 < b.size() && a[n] == b[n]) ++n;
  return n;
}

}  // namespace

LabelTree::LabelTree(const std::vector<std::vector<int32_t>>& labels) : paths_(labels.size()) {
  std::vector<size_t> order(labels.size());
  std::iota(order.begin(), order.end(), 0);
  // Sorting puts labels with a common prefix next to each other and yields nodes depth first.
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return labels[a] < labels[b]; });
  std::vector<int32_t> path, steps_to;  // nodes of the last label, and the steps that lead to them
  const std::vector<int32_t>* before = nullptr;
  for (const size_t l : order) {
    RETORT_CHECK(!labels[l].empty(), "label ", l, " has no tokens");
    const size_t shared = before ? std::min(SharedNodes(*before, labels[l]), path.size()) : 0;
    path.resize(shared);
    steps_to.resize(shared);
    Insert(labels[l], path, steps_to);
    paths_[l] = steps_to;
    paths_[l].push_back(static_cast<int32_t>(steps_.size()));
    steps_.push_back({path.empty() ? -1 : path.back(), labels[l].back()});
    depth_ = std::max(depth_, static_cast<int64_t>(path.size()));
    before = &labels[l];
  }
}

void LabelTree::Insert(const std::vector<int32_t>& label, std::vector<int32_t>& path,
                       std::vector<int32_t>& steps_to) {
  for (size_t i = path.size(); i + 1 < label.size(); ++i) {
    const int32_t parent = path.empty() ? -1 : path.back();
    steps_to.push_back(static_cast<int32_t>(steps_.size()));
    steps_.push_back({parent, label[i]});
    path.push_back(static_cast<int32_t>(nodes_.size()));
    nodes_.push_back({label[i], parent, static_cast<int32_t>(i)});
  }
}

std::vector<int32_t> LabelTree::AppendTo(std::span<const int32_t> prompt, Batch& batch) const {
  AttentionLayout& layout = batch.layout;
  layout.block_size = 1;
  const auto begin = static_cast<int32_t>(batch.tokens()),
             size = static_cast<int32_t>(prompt.size());
  const auto lay = [&](int32_t token, int32_t position) {
    layout.block_rows.push_back(static_cast<int32_t>(batch.tokens()));
    batch.ids.push_back(token);
    batch.positions.push_back(position);
    ++layout.runs.back().queries;
  };
  int32_t deepest = 0;
  for (const Node& node : nodes_) deepest = std::max(deepest, node.depth + 1);
  const auto begin_run = [&](int32_t position) {
    batch.lengths.push_back(size + deepest);
    layout.runs.push_back({static_cast<int32_t>(batch.tokens()), 0, position,
                           static_cast<int32_t>(layout.block_rows.size())});
  };
  begin_run(0);
  for (int32_t i = 0; i < size; ++i) lay(prompt[static_cast<size_t>(i)], i);

  for (size_t n = 0; n < nodes_.size(); ++n) {
    const Node& node = nodes_[n];
    if (n == 0 || node.parent != static_cast<int32_t>(n) - 1) {
      // A new branch: it attends to the prompt and to its ancestors, wherever these are in the
      // batch.
      begin_run(size + node.depth);
      std::vector<int32_t> rows(static_cast<size_t>(size + node.depth));
      std::iota(rows.begin(), rows.begin() + size, begin);
      int32_t ancestor = node.parent;
      for (auto at = rows.rbegin(); ancestor >= 0; ++at) {
        *at = begin + size + ancestor;
        ancestor = nodes_[static_cast<size_t>(ancestor)].parent;
      }
      layout.block_rows.insert(layout.block_rows.end(), rows.begin(), rows.end());
    }
    lay(node.token, size + node.depth);
  }
  std::vector<int32_t> after;
  for (const Step& step : steps_) after.push_back(begin + size + step.after);
  return after;
}

std::vector<double> LabelTree::LogProbabilities(std::span<const double> step_losses) const {
  std::vector<double> out;
  for (const auto& path : paths_) {
    double sum = 0;
    for (const int32_t step : path) sum -= step_losses[static_cast<size_t>(step)];
    out.push_back(sum);
  }
  return out;
}

std::vector<double> LabelTree::LogProbabilitiesWithin(std::span<const double> step_losses) const {
  std::vector<double> losses(step_losses.begin(), step_losses.end());
  const auto place = [this](size_t step) {
    return static_cast<size_t>(int64_t{steps_[step].after} + 1);
  };
  std::vector<double> least(nodes_.size() + 1, std::numeric_limits<double>::infinity());
  for (size_t s = 0; s < losses.size(); ++s) least[place(s)] = std::min(least[place(s)], losses[s]);
  std::vector<double> sums(least.size());
  for (size_t s = 0; s < losses.size(); ++s)
    sums[place(s)] += std::exp(least[place(s)] - losses[s]);
  for (size_t s = 0; s < losses.size(); ++s)
    losses[s] += std::log(sums[place(s)]) - least[place(s)];
  return LogProbabilities(losses);
}

}  // namespace retort
