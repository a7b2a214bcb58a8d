// SPDX-License-Identifier: Apache-2.0
// What of a tokenizer.json a GGUF can say.
#pragma once

#include "tokenizer/text_steps_json.h"
#include "tokenizer/tokenizer.h"

namespace retort {

// For pieces in GPT-2's alphabet (GGUF's "gpt2"): sets gguf_fault.
void FitByteLevel(const TextSteps& steps, TokenizerSpec* spec);

// For pieces with marks for spaces (GGUF's "llama", which turns spaces into marks and may put one
// before every run of text, no more): marks byte pieces, sets scores so that the best score belongs
// to the merge of lowest rank, and sets gguf_fault and gguf_notes.
void FitMetaSpace(const TextSteps& steps, bool byte_fallback, TokenizerSpec* spec);

// For a Unigram model (GGUF's "t5", which may apply a table, join spaces and put one before every run
// of text): marks byte pieces, sets charsmap, remove_extra_whitespaces, gguf_fault and gguf_notes.
void FitUnigram(const TextSteps& steps, TokenizerSpec* spec);

}  // namespace retort
