// SPDX-License-Identifier: Apache-2.0
// How good an answer is, as a number.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace retort {

struct RewardOptions {
  // Each that is given counts; an answer's reward is their sum. White space at its ends is none
  // of the answer.
  std::string regex;    // 1 if it matches the whole answer
  std::string schema;   // the text of a JSON Schema: 1 if it satisfies it, whatever its white space
  bool exact = false;   // 1 if the answer is the row's
  std::string command;  // what this program says
};

// An answer that was generated, beside the one that its row has.
struct Attempt {
  std::string prompt, answer, expected;
};

class Reward {
 public:
  virtual ~Reward() = default;
  // The reward of each. Throws Error{kFailure} when a command fails, or says something else.
  //
  // A command is run by /bin/sh, once for all of a step's attempts. Its standard input has a line
  // {"prompt", "answer", "expected"} for each; it writes a number in a line for each.
  virtual std::vector<double> Of(const std::vector<Attempt>& attempts) = 0;
};

// Throws Error{kInput} for an expression that cannot be read.
std::unique_ptr<Reward> MakeReward(const RewardOptions& options);
// 0 and 1 in turn, whatever the answer.
std::unique_ptr<Reward> MakeAlternatingReward();

}  // namespace retort
