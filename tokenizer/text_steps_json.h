// SPDX-License-Identifier: Apache-2.0
// Converts the "normalizer" and "pre_tokenizer" members of a tokenizer.json to steps, and splits
// back to a "pre_tokenizer".
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "tokenizer/text_steps.h"

namespace retort {

struct TextSteps {
  std::vector<NormalizerSpec> normalizers;
  std::vector<TextStage> stages;
  bool byte_level = false;
};

// Both may be null. Throws Error{kInput} naming an unsupported type, option or order.
TextSteps ReadTextSteps(const Json& normalizer, const Json& pre_tokenizer,
                        const std::string& where);

// The step "ByteLevel".
Json ByteLevelJson(bool add_prefix_space, bool use_regex);
// The pre-tokenizer of a byte-level model that splits like this: what ReadTextSteps reads as these
// splits. Throws Error{kInput} if it cannot put a space before a text.
Json PreTokenizerJson(const std::vector<SplitSpec>& splits, bool add_prefix_space,
                      const std::string& where);

// What the step "Punctuation" does.
SplitSpec PunctuationStep(SplitSpec::Behavior behavior);

}  // namespace retort
