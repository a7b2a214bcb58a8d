// SPDX-License-Identifier: Apache-2.0
// How likely each of several texts is behind a prompt: the tree of their tokens as few streams that
// share the prompt, and are read in one go.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runner/engine/label_tree.h"
#include "runner/engine/request.h"

namespace retort {

class Selection {
 public:
  // Labels: tokens of the texts, none of them empty or the beginning of another. They stand behind
  // a prompt of prompt_tokens tokens.
  Selection(int64_t prompt_tokens, const std::vector<std::vector<int32_t>>& labels);

  // One for each leaf of the tree; one if the labels are single tokens.
  size_t streams() const { return parts_.size(); }
  // prompt: the prompt_tokens tokens.
  GenerationRequest Request(size_t stream, std::vector<int32_t> prompt) const;
  // What the stream told. Throws Error{kFailure} if that are no numbers.
  void Take(size_t stream, std::span<const double> scores);
  // Behind all streams: the sum over each label's tokens.
  std::vector<double> LogProbabilities() const { return tree_.LogProbabilities(losses_); }
  // The same where nothing else may be said (LabelTree).
  std::vector<double> LogProbabilitiesWithin() const {
    return tree_.LogProbabilitiesWithin(losses_);
  }

 private:
  struct Part {
    std::vector<int32_t> path;        // its tokens behind the prompt
    std::vector<WantedScore> scores;  // by position
    std::vector<size_t> steps;        // those of the tree that they are of
  };
  // The steps behind each node that no part has yet: at index 0 those behind the prompt, at i + 1
  // those behind node i.
  using StepsBehind = std::vector<std::vector<size_t>>;
  void AddPart(int32_t leaf, StepsBehind& steps);

  const int64_t prompt_tokens_;
  LabelTree tree_;
  std::vector<Part> parts_;
  size_t longest_ = 0;          // path
  std::vector<double> losses_;  // of the tree's steps
};

}  // namespace retort
