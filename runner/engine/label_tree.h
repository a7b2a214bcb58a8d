// SPDX-License-Identifier: Apache-2.0
// Labels as a tree of tokens, so that common prefixes of labels are computed only once.
#pragma once

#include <cstdint>
#include <vector>

#include "model/batch.h"

namespace retort {

class LabelTree {
 public:
  // A token of one or more labels, after its parent (-1: after the prompt). Parents come before
  // children, and a node's first child directly follows it.
  struct Node {
    int32_t token, parent, depth;  // depth from 0
  };
  // A token to be predicted after a node (-1: after the prompt).
  struct Step {
    int32_t after, token;
  };

  // Labels as token ids, none of them empty. A label's last token (such as its end token) is only
  // predicted, never an input.
  explicit LabelTree(const std::vector<std::vector<int32_t>>& labels);

  int64_t labels() const { return static_cast<int64_t>(paths_.size()); }
  int64_t depth() const { return depth_; }  // maximum number of input tokens after the prompt
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Step>& steps() const { return steps_; }

  // Appends the prompt and then the tree to the batch, for attention without a cache: every node
  // attends to the prompt and to its ancestors. Returns for each step the index in the batch of the
  // token after which it is predicted. All rows of such a batch must be added by this function.
  std::vector<int32_t> AppendTo(std::span<const int32_t> prompt, Batch& batch) const;
  // Converts the steps' losses to the labels' log-probabilities by summing over each label's steps.
  std::vector<double> LogProbabilities(std::span<const double> step_losses) const;
  // The same where nothing but the labels may be said: at each place, the tokens that some label
  // goes on with have the sum 1. A token that all of them go on with costs nothing, so the sum over
  // labels, none of which is the beginning of another, is 1.
  std::vector<double> LogProbabilitiesWithin(std::span<const double> step_losses) const;

 private:
  void Insert(const std::vector<int32_t>& label, std::vector<int32_t>& path,
              std::vector<int32_t>& steps_to);

  std::vector<Node> nodes_;
  std::vector<Step> steps_;
  std::vector<std::vector<int32_t>> paths_;  // for each label, its steps
  int64_t depth_ = 0;
};

}  // namespace retort
