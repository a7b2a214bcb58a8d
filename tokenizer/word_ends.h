// SPDX-License-Identifier: Apache-2.0
// The ways to cut text into words that nearly every byte-level model shares, written out by hand:
// the same words as their expressions give, in a tenth of the time.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "tokenizer/text_steps.h"

namespace retort {

// How GPT-2, Llama 3 and Qwen 2 cut, as their files spell it.
inline constexpr char kGpt2Words[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr char kLlama3Words[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr char kQwen2Words[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Before GPT-2's cutting SmolLM takes every digit by itself.
inline constexpr char kEachDigit[] = R"(\p{N})";

// Where the word ends that begins at `pos` < text.size(); the words of a text lie end to end. The
// text is valid UTF-8.
using WordEnd = size_t (*)(std::string_view text, size_t pos);

// Of the steps as a whole; nullptr for any that are not among those above.
WordEnd WordEndOf(const std::vector<SplitSpec>& steps);

}  // namespace retort
