// SPDX-License-Identifier: Apache-2.0
// Whether two pre-tokenizers are the same, told by trying.
#pragma once

#include <vector>

#include "tokenizer/text_steps.h"

namespace retort {

// Whether both split a large set of texts alike: all short ones of characters of every kind that
// expressions tell apart, long ones, and the characters at the ends of the ranges that either
// names.
bool SplitAlike(const std::vector<SplitSpec>& one, const std::vector<SplitSpec>& other);

}  // namespace retort
