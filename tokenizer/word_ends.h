// SPDX-License-Identifier: Apache-2.0
// Hand-written versions of the word-splitting expressions that nearly all byte-level models use:
// the same words in a tenth of the time.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "tokenizer/text_steps.h"

namespace retort {

// The expressions of GPT-2, Llama 3 and Qwen 2, as spelt in their files.
inline constexpr char kGpt2Words[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr char kLlama3Words[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr char kQwen2Words[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// One number, as the step "Digits" knows them: those of Unicode 17 (unicode.h). SmolLM isolates each
// before applying GPT-2's expression.
inline constexpr char kEachDigit[] = R"([\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}])";

// Returns the end of the word that begins at `pos` < text.size(). The next word begins there. The
// text must be valid UTF-8.
using WordEnd = size_t (*)(std::string_view text, size_t pos);

// The function equivalent to all `steps` together; nullptr if they are not one of the above.
WordEnd WordEndOf(const std::vector<SplitSpec>& steps);

}  // namespace retort
