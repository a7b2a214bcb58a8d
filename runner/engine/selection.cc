// SPDX-License-Identifier: Apache-2.0
#include "runner/engine/selection.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace retort {

Selection::Selection(std::vector<int32_t> prompt, const std::vector<std::vector<int32_t>>& labels)
    : prompt_(std::move(prompt)), tree_(labels), losses_(tree_.steps().size()) {
  const auto& nodes = tree_.nodes();
  std::vector<bool> is_parent(nodes.size()), known(tree_.steps().size());
  for (const LabelTree::Node& node : nodes) {
    if (node.parent >= 0) is_parent[static_cast<size_t>(node.parent)] = true;
  }
  if (nodes.empty()) AddPart(-1, known);
  for (size_t node = 0; node < nodes.size(); ++node) {
    if (!is_parent[node]) AddPart(static_cast<int32_t>(node), known);
  }
}

void Selection::AddPart(int32_t leaf, std::vector<bool>& known) {
  const auto& nodes = tree_.nodes();
  Part part;
  std::vector<bool> on_path(nodes.size());
  for (int32_t node = leaf; node >= 0; node = nodes[static_cast<size_t>(node)].parent) {
    on_path[static_cast<size_t>(node)] = true;
    part.path.push_back(nodes[static_cast<size_t>(node)].token);
  }
  std::ranges::reverse(part.path);
  longest_ = std::max(longest_, part.path.size());
  const auto position_of = [&](size_t step) {
    const int32_t after = tree_.steps()[step].after;
    const int64_t depth = after < 0 ? -1 : nodes[static_cast<size_t>(after)].depth;
    return std::ssize(prompt_) + depth;
  };
  for (size_t step = 0; step < known.size(); ++step) {
    const int32_t after = tree_.steps()[step].after;
    if (known[step] || (after >= 0 && !on_path[static_cast<size_t>(after)])) continue;
    known[step] = true;
    part.steps.push_back(step);
  }
  std::ranges::stable_sort(part.steps, {}, position_of);
  for (const size_t step : part.steps)
    part.scores.push_back({position_of(step), tree_.steps()[step].token});
  parts_.push_back(std::move(part));
}

GenerationRequest Selection::Request(size_t stream) const {
  GenerationRequest request;
  request.prompt = prompt_;
  request.prompt.insert(request.prompt.end(), parts_[stream].path.begin(),
                        parts_[stream].path.end());
  request.scores = parts_[stream].scores;
  // All streams may grow to one length, on which the frequencies of a rope may depend.
  request.sampling.max_tokens = static_cast<int64_t>(longest_ - parts_[stream].path.size());
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
