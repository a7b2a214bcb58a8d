// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/selection.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace retort {
namespace {

// Of StepsBehind.
size_t IndexBehind(int32_t node) { return static_cast<size_t>(int64_t{node} + 1); }

}  // namespace

Selection::Selection(int64_t prompt_tokens, const std::vector<std::vector<int32_t>>& labels)
    : prompt_tokens_(prompt_tokens), tree_(labels), losses_(tree_.steps().size()) {
  const auto& nodes = tree_.nodes();
  std::vector<bool> is_parent(nodes.size());
  for (const LabelTree::Node& node : nodes) {
    if (node.parent >= 0) is_parent[static_cast<size_t>(node.parent)] = true;
  }
  StepsBehind steps(nodes.size() + 1);
  for (size_t step = 0; step < tree_.steps().size(); ++step)
    steps[IndexBehind(tree_.steps()[step].after)].push_back(step);
  if (nodes.empty()) AddPart(-1, steps);
  for (size_t node = 0; node < nodes.size(); ++node) {
    if (!is_parent[node]) AddPart(static_cast<int32_t>(node), steps);
  }
}

void Selection::AddPart(int32_t leaf, StepsBehind& steps) {
  const auto& nodes = tree_.nodes();
  Part part;
  std::vector<int32_t> path;  // from the prompt to the leaf
  for (int32_t node = leaf; node >= 0; node = nodes[static_cast<size_t>(node)].parent)
    path.push_back(node);
  path.push_back(-1);
  std::ranges::reverse(path);
  int64_t position = prompt_tokens_ - 1;
  for (const int32_t node : path) {
    if (node >= 0) part.path.push_back(nodes[static_cast<size_t>(node)].token);
    for (const size_t step : std::exchange(steps[IndexBehind(node)], {})) {
      part.steps.push_back(step);
      part.scores.push_back({position, tree_.steps()[step].token});
    }
    ++position;
  }
  longest_ = std::max(longest_, part.path.size());
  parts_.push_back(std::move(part));
}

GenerationRequest Selection::Request(size_t stream, std::vector<int32_t> prompt) const {
  const Part& part = parts_[stream];
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.prompt.insert(request.prompt.end(), part.path.begin(), part.path.end());
  request.scores = part.scores;
  // All streams may grow to one length, on which the frequencies of a rope may depend.
  request.sampling.max_tokens = static_cast<int64_t>(longest_ - part.path.size());
  return request;
}

void Selection::Take(size_t stream, std::span<const double> scores) {
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i]))
      throw Failure(
          "the model's logits are not finite numbers; its weights or adapter are damaged");
    losses_[parts_[stream].steps[i]] = -scores[i];
  }
}

}  // namespace retort
