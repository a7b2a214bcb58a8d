// SPDX-License-Identifier: Apache-2.0
// Tokens that an answer begins with, whatever the model would say: the beginning of a call that was
// asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort {

struct ForcedTokens {
  std::vector<int32_t> ids;  // empty: none
  // A model that thinks before it answers is let to; then these are what follows its thought.
  std::vector<int32_t> after_thought;
  std::vector<int32_t> end_of_thought;  // if it would end its answer within the thought
  std::string think_open, think_close;
  bool in_thought = false;  // the prompt has opened a thought
};

class ForcedBeginning {
 public:
  explicit ForcedBeginning(ForcedTokens tokens)
      : tokens_(std::move(tokens)),
        at_(tokens_.ids.empty()  ? At::kDone
            : tokens_.in_thought ? At::kThought
                                 : At::kStart) {}

  // The token that takes the place of the one that was drawn. ends: that one ends the answer.
  int32_t Instead(int32_t drawn, bool ends, const Tokenizer& tokenizer);

 private:
  enum class At { kStart, kThought, kForced, kDone };

  int32_t Force(std::vector<int32_t> ids);

  ForcedTokens tokens_;
  At at_;
  std::string text_;  // the end of what was said so far
  std::vector<int32_t> ids_;
  size_t next_ = 0;
};

}  // namespace retort
