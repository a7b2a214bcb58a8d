// SPDX-License-Identifier: Apache-2.0
// The "normalizer" and "pre_tokenizer" members of a tokenizer.json as steps.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "tokenizer/text_steps.h"

namespace retort {

struct TextSteps {
  std::vector<NormalizerSpec> normalizers;
  std::vector<SplitSpec> splits;
  bool byte_level = false;
};

// Both may be null. Throws Error{kInput} naming a type, option or order that is not known.
TextSteps ReadTextSteps(const Json& normalizer, const Json& pre_tokenizer,
                        const std::string& where);

}  // namespace retort
