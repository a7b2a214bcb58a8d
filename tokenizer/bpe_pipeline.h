// SPDX-License-Identifier: Apache-2.0
// The steps around the merges of a BPE tokenizer, from a tokenizer.json or from the name used in a
// GGUF.
#pragma once

#include <string>
#include <vector>

#include "tokenizer/bpe.h"
#include "tokenizer/text_steps.h"
#include "tokenizer/tokenizer.h"

namespace retort {

struct BpePipeline {
  // Added tokens found before the normalisers, and those found after them, whose text is normalised
  // too.
  std::vector<TokenizerSpec::AddedToken> raw_tokens, normalized_tokens;
  std::vector<NormalizerSpec> normalizers;
  std::vector<SplitSpec> splits;
  BpeOptions options;
};

// The name of these splits in GGUF's tokenizer.ggml.pre; "" if they have none. Names say nothing
// about normalisers: llama.cpp has none.
std::string PreName(const std::vector<SplitSpec>& splits);
// Whether the models of this name bring text into NFC, if their file does not say (PipelineFromSpec
// reads the spec's own value).
bool PreImpliesNfc(const std::string& pre);

// The pipeline of a spec without tokenizer.json. Throws Error{kInput} naming an unknown `pre`.
BpePipeline PipelineFromSpec(const TokenizerSpec& spec, const std::string& where);

// Reads the text of a tokenizer.json with a BPE model. Fills the spec's pieces, merges, added, pre,
// gguf_fault, nfc, normalizes, byte_level, byte_fallback, add_space_prefix, ignore_merges, add_bos,
// add_eos, bos, unk and tokenizer_json. Throws Error{kInput} naming an unsupported feature.
BpePipeline ParseTokenizerJson(std::string text, const std::string& where, TokenizerSpec* spec);

}  // namespace retort
