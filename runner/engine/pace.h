// SPDX-License-Identifier: Apache-2.0
// How many tokens of prompts a step may read beside streams that generate, so that the step takes
// at most about twice as long as one that reads none.
#pragma once

#include <cstdint>

namespace retort {

class Pace {
 public:
  static constexpr int64_t kLeast = 8;   // tokens of prompts beside generating streams
  static constexpr int64_t kMost = 128;  // of a step, also with none: the next step is not far away
  // Every so many steps that could read prompts, one reads none, to measure how long that takes.
  static constexpr int64_t kMeasured = 16;

  // For the next step, with that many streams generating and prompts to read. 0: the step should
  // be measured without any.
  int64_t Tokens(int64_t generating);
  // What a step did and took.
  void Observe(int64_t generating, int64_t prompt_tokens, double seconds);

 private:
  double plain_ = 0;      // seconds of a step without prompts; 0: not known
  double per_token_ = 0;  // more seconds for each token of a prompt; 0: not known
  int64_t since_plain_ = 0;
};

}  // namespace retort
