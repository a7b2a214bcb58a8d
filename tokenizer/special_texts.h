// SPDX-License-Identifier: Apache-2.0
// Finds special tokens that a text spells. In content they are read as plain characters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/prefix_table.h"
#include "tokenizer/tokenizer.h"

namespace retort {

class SpecialTexts {
 public:
  explicit SpecialTexts(const TokenizerSpec& spec);
  // The first special token that `text` spells, "" if it spells none. Takes time in proportion to
  // the text, however many tokens there are.
  std::string_view First(std::string_view text) const;

 private:
  std::vector<std::string> texts_;
  PrefixTable table_;  // of texts_
};

}  // namespace retort
