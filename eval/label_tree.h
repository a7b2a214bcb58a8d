// SPDX-License-Identifier: Apache-2.0
// Labels as a tree of tokens, so that what several labels begin with is computed once.
#pragma once

#include <cstdint>
#include <vector>

#include "model/batch.h"

namespace retort {

class LabelTree {
 public:
  // A token of some labels, after its parent (-1: after the prompt). Parents come before children,
  // and a node's first child follows it.
  struct Node {
    int32_t token, parent, depth;  // depth from 0
  };
  // A token to be predicted after a node (-1: after the prompt).
  struct Step {
    int32_t after, token;
  };

  // Labels as token ids, none of them empty. A label's last token (its end token, say) is predicted
  // but never read.
  explicit LabelTree(const std::vector<std::vector<int32_t>>& labels);

  int64_t labels() const { return static_cast<int64_t>(paths_.size()); }
  int64_t depth() const { return depth_; }  // tokens read after the prompt, at most
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Step>& steps() const { return steps_; }

  // Lays the prompt and the tree after it at the batch's end, for attention without a cache: every
  // node sees the prompt and its own ancestors. Returns the batch's token after which each step is
  // predicted. All rows of such a batch must be laid by this function.
  std::vector<int32_t> AppendTo(std::span<const int32_t> prompt, Batch& batch) const;
  // Sums a label's steps: steps' losses to labels' log-probabilities.
  std::vector<double> LogProbabilities(std::span<const double> step_losses) const;

 private:
  void Insert(const std::vector<int32_t>& label, std::vector<int32_t>& path,
              std::vector<int32_t>& steps_to);

  std::vector<Node> nodes_;
  std::vector<Step> steps_;
  std::vector<std::vector<int32_t>> paths_;  // of each label: its steps
  int64_t depth_ = 0;
};

}  // namespace retort
