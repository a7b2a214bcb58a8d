// SPDX-License-Identifier: Apache-2.0
// Converts the "normalizer" and "pre_tokenizer" members of a tokenizer.json to steps.
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

// What the step "Punctuation" does.
SplitSpec PunctuationStep(SplitSpec::Behavior behavior);

}  // namespace retort
